import { type GuestState, PolyvisorError } from "@polyvisor/core";
import { markNote } from "../domain/domain-mark.ts";
import { isNotFoundError } from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";
import type { LibvirtHost } from "./libvirt-host.ts";

/** Marks a domain as that of a VM. See `LibvirtHypervisor.adopt`. */
export async function adoptGuest(
  host: LibvirtHost,
  domainName: string,
  machine: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<GuestState> {
  const domain = await findByName(host, domainName, signal);
  return host.guestMutex.run(domain.uuid, async () => {
    const found = await host.describe(domain, signal);
    if (found?.state) {
      const { namespace, name } = found.state;
      if (namespace === machine.namespace && name === machine.name) return found.state;
      throw refused(`"${domainName}" is the guest of the virtual machine "${namespace}/${name}"`);
    }
    const [{ persistent }, { active }] = await Promise.all([
      host.connections.call(procedures.domainIsPersistent, { domain }, { signal }),
      host.connections.call(procedures.domainIsActive, { domain }, { signal }),
    ]);
    if (!persistent) {
      throw refused(`"${domainName}" is gone when it ends: define it with libvirt first`);
    }
    const mark = markNote({ ...machine, incarnation: 1 });
    // What outlives the run comes first: a guest that is ours while it runs must be ours when it has ended.
    await host.note(domain, mark, "config", signal);
    if (active) await host.note(domain, mark, "live", signal);
    const adopted = await host.describe(domain, signal);
    if (adopted?.state) {
      host.reportGuest(domain);
      return adopted.state;
    }
    throw refused(`"${domainName}" has vanished while it was being adopted`);
  });
}

async function findByName(
  host: LibvirtHost,
  name: string,
  signal: AbortSignal,
): Promise<DomainHandle> {
  try {
    const { domain } = await host.connections.call(
      procedures.domainLookupByName,
      { name },
      { signal },
    );
    return domain;
  } catch (error) {
    if (!isNotFoundError(error)) throw error;
    throw new PolyvisorError(
      "POLYVISOR_NOT_FOUND",
      `host "${host.name}" has no domain ${JSON.stringify(name)}`,
    );
  }
}

function refused(reason: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_REFUSED", reason);
}
