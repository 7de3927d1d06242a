import { type GuestRef, PolyvisorError } from "@polyvisor/core";
import type { HostDomain, LibvirtHost } from "../host/libvirt-host.ts";

/** An incarnation of a guest that runs on a host; `undefined` when it does not. */
export async function findRunning(
  host: LibvirtHost,
  { uid, incarnation }: GuestRef,
  signal: AbortSignal,
): Promise<HostDomain | undefined> {
  const found = await host.domain(uid, signal);
  const { state } = found ?? {};
  const runs =
    state?.incarnation === incarnation && state.power !== "stopped" && found?.inTransit === false;
  return runs ? found : undefined;
}

/** @throws `POLYVISOR_REFUSED` when that incarnation does not run on the host. */
export async function requireRunning(
  host: LibvirtHost,
  ref: GuestRef,
  signal: AbortSignal,
): Promise<HostDomain> {
  const found = await findRunning(host, ref, signal);
  if (found) return found;
  throw new PolyvisorError(
    "POLYVISOR_REFUSED",
    `incarnation ${ref.incarnation} of guest ${ref.uid} does not run on host "${host.name}"`,
  );
}
