import { createIso9660 } from "@polyvisor/image-tools";
import {
  type GuestRef,
  type GuestSpec,
  type GuestState,
  PolyvisorError,
  type StopMode,
} from "@polyvisor/core";
import { domainName } from "../domain/domain-mark.ts";
import { domainXml } from "../domain/domain-xml.ts";
import {
  isAgentUnavailableError,
  isInvalidStateError,
  isLibvirtError,
  isNotFoundError,
} from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";
import type { HostDomain, LibvirtHost } from "./libvirt-host.ts";

/** Numbers of libvirt: flags of the procedures below. */
const VALIDATE = 1;
const SHUTDOWN_BY_POWER_BUTTON = 1;
/** Managed save image, snapshot metadata, firmware variables and checkpoint metadata go with the domain. */
const UNDEFINE_EVERYTHING = 1 | 2 | 4 | 16;

/** Starts a guest. See `Hypervisor.startGuest`. */
export async function startGuest(
  host: LibvirtHost,
  spec: GuestSpec,
  signal: AbortSignal,
): Promise<GuestState> {
  const present = await host.domain(spec.uid, signal);
  if (present) {
    const state = judgePresent(present, spec);
    if (state) return state;
  }
  await refuseNamesake(host, spec, signal);
  try {
    return await host.networks.during(spec.interfaces, () => launch(host, spec, signal), signal);
  } catch (error) {
    // Only after a clear no: when an answer was lost, the guest may run.
    if (isLibvirtError(error)) await forget(host, spec.uid, signal);
    throw error;
  }
}

/** The state to give back for a guest that is there; `undefined` when it is to be defined anew and started. */
function judgePresent({ state, description }: HostDomain, spec: GuestSpec): GuestState | undefined {
  if (state === undefined) {
    throw refused(
      `the host has a guest "${description.name}" of that id which is not managed here: it is left alone`,
    );
  }
  if (state.incarnation > spec.incarnation) {
    throw refused(
      `incarnation ${state.incarnation} of the guest was started after incarnation ${spec.incarnation}`,
    );
  }
  const ended = state.power === "stopped";
  if (state.incarnation < spec.incarnation) {
    if (!ended) throw refused(`incarnation ${state.incarnation} of the guest still runs`);
    return undefined;
  }
  // A domain that was defined and never started has no reason for being off.
  return ended && state.stopReason === "unknown" ? undefined : state;
}

async function refuseNamesake(
  host: LibvirtHost,
  spec: GuestSpec,
  signal: AbortSignal,
): Promise<void> {
  const name = domainName(spec);
  try {
    const { domain } = await host.connections.call(
      procedures.domainLookupByName,
      { name },
      { signal },
    );
    if (domain.uuid === spec.uid) return;
  } catch (error) {
    if (isNotFoundError(error)) return;
    throw error;
  }
  throw refused(`the host has another guest "${name}": it is left alone; rename one of the two`);
}

async function launch(
  host: LibvirtHost,
  spec: GuestSpec,
  signal: AbortSignal,
): Promise<GuestState> {
  await writeSeed(host, spec, signal);
  const domain = await define(host, spec, signal);
  await host.connections.call(procedures.domainCreateWithFlags, { domain, flags: 0 }, { signal });
  const started = await host.describe(domain, signal);
  if (started?.state) return started.state;
  throw refused("the domain has vanished while it was being started");
}

async function writeSeed(host: LibvirtHost, spec: GuestSpec, signal: AbortSignal): Promise<void> {
  if (spec.cloudInit === undefined) return;
  const { userData, metaData } = spec.cloudInit;
  const seed = createIso9660({
    volumeId: "cidata",
    files: [
      { name: "meta-data", content: metaData },
      { name: "user-data", content: userData },
    ],
  });
  // What an earlier start has left may have other content.
  await host.pool.delete(seedName(spec.uid), signal);
  const volume = await host.pool.create(seedName(spec.uid), seed.length, signal);
  await host.pool.write(volume, once(seed), signal);
}

async function* once(bytes: Uint8Array): AsyncGenerator<{ type: "data"; bytes: Uint8Array }> {
  yield { type: "data", bytes };
}

async function define(
  host: LibvirtHost,
  spec: GuestSpec,
  signal: AbortSignal,
): Promise<DomainHandle> {
  const { facts } = host;
  if (facts === undefined) {
    throw new PolyvisorError("POLYVISOR_UNAVAILABLE", `host "${host.name}" has not answered yet`);
  }
  const seed = spec.cloudInit && (await host.pool.volume(seedName(spec.uid), signal));
  const seedPath = seed && (await host.pool.path(seed, signal));
  const { virtType, cpuModes } = facts;
  const xml = domainXml(spec, { virtType, cpuModes, seedPath });
  const { domain } = await host.connections.call(
    procedures.domainDefineXmlFlags,
    { xml, flags: VALIDATE },
    { signal },
  );
  return domain;
}

/** Stops a guest. See `Hypervisor.stopGuest`. */
export async function stopGuest(
  host: LibvirtHost,
  ref: GuestRef,
  mode: StopMode,
  signal: AbortSignal,
): Promise<void> {
  const present = await host.domain(ref.uid, signal);
  const state = present?.state;
  if (!present || !state || state.incarnation !== ref.incarnation || state.power === "stopped")
    return;
  const { handle: domain } = present;
  try {
    if (mode === "power-off") {
      await host.connections.call(procedures.domainDestroyFlags, { domain, flags: 0 }, { signal });
    } else {
      await shutDown(host, domain, signal);
    }
  } catch (error) {
    // It has ended in the meantime.
    if (!isInvalidStateError(error) && !isNotFoundError(error)) throw error;
  }
}

async function shutDown(
  host: LibvirtHost,
  domain: DomainHandle,
  signal: AbortSignal,
): Promise<void> {
  try {
    await host.connections.call(procedures.domainShutdownFlags, { domain, flags: 0 }, { signal });
  } catch (error) {
    if (!isAgentUnavailableError(error)) throw error;
    const flags = SHUTDOWN_BY_POWER_BUTTON;
    await host.connections.call(procedures.domainShutdownFlags, { domain, flags }, { signal });
  }
}

/** Forgets a guest that does not run. See `Hypervisor.removeGuest`. */
export async function removeGuest(
  host: LibvirtHost,
  uid: string,
  signal: AbortSignal,
): Promise<void> {
  const present = await host.domain(uid, signal);
  if (present && present.state === undefined) return;
  if (present?.state && present.state.power !== "stopped") {
    throw refused(`guest "${present.description.name}" still runs: stop it first`);
  }
  await forget(host, uid, signal);
}

/** The domain goes last: as long as it is there, what belongs to it can be found. */
async function forget(host: LibvirtHost, uid: string, signal: AbortSignal): Promise<void> {
  const present = await host.domain(uid, signal);
  for (const network of present?.description.networks ?? [])
    await host.networks.release(network, signal);
  await host.pool.delete(seedName(uid), signal);
  if (present === undefined) return;
  const { handle: domain } = present;
  try {
    await host.connections.call(
      procedures.domainUndefineFlags,
      { domain, flags: UNDEFINE_EVERYTHING },
      { signal },
    );
  } catch (error) {
    if (!isNotFoundError(error)) throw error;
  }
}

function seedName(uid: string): string {
  return `seed-${uid}.iso`;
}

function refused(reason: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_REFUSED", reason);
}
