import {
  type GuestRef,
  type GuestSpec,
  type GuestState,
  PolyvisorError,
  type StopMode,
} from "@polyvisor/core";
import { domainName } from "../domain/domain-mark.ts";
import { domainXml } from "../domain/domain-xml.ts";
import { mergeDomain } from "../domain/merge-domain.ts";
import {
  isAgentUnavailableError,
  isInvalidStateError,
  isLibvirtError,
  isNotFoundError,
} from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import { isRpcError } from "../rpc/rpc-error.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";
import { removeGuestMedia, writeGuestMedia } from "./guest-media.ts";
import type { HostFacts } from "./host-facts.ts";
import type { HostDomain, LibvirtHost } from "./libvirt-host.ts";

/** Numbers of libvirt: flags of the procedures below. */
const VALIDATE = 1;
const SHUTDOWN_BY_POWER_BUTTON = 1;
const SHUTDOWN_BY_AGENT = 2;
/** Managed save image, snapshot and checkpoint metadata, firmware variables and the state of a TPM go with the domain. */
const UNDEFINE_EVERYTHING = 1 | 2 | 4 | 16 | 32;
/** How long an agent may take to hear that it is to shut its guest down, and libvirt to find out that it is there. */
const AGENT_SECONDS = 5;
const MARGIN_SECONDS = 10;
const XML_SECURE = 1;
const XML_INACTIVE = 2;

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
  refuseWhatIsMissing(spec, factsOf(host));
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
  const media = await writeGuestMedia(host, spec, signal);
  const xml = domainXml(spec, {
    ...factsOf(host),
    media,
    isGuarded: (cidr) => host.networks.isGuarded(cidr),
  });
  const domain = await define(host, spec, xml, signal);
  await host.connections.call(procedures.domainCreateWithFlags, { domain, flags: 0 }, { signal });
  const started = await host.describe(domain, signal);
  if (started?.state) return started.state;
  throw refused("the domain has vanished while it was being started");
}

function factsOf({ name, facts }: LibvirtHost): HostFacts {
  if (facts) return facts;
  throw new PolyvisorError("POLYVISOR_UNAVAILABLE", `host "${name}" has not answered yet`);
}

/** What libvirt or QEMU would say less clearly, or would leave out without a word. */
function refuseWhatIsMissing({ machine, cpu }: GuestSpec, facts: HostFacts): void {
  if (!facts.firmware.has(machine.firmware)) {
    throw refused(`the host has no firmware for "${machine.firmware}": install OVMF there`);
  }
  if (machine.tpm && !facts.tpm) {
    throw refused("the host cannot give a guest a TPM: install swtpm there");
  }
  if (cpu.model.mode !== "features") return;
  const missing = cpu.model.features.filter((feature) => !facts.cpu.features.includes(feature));
  if (missing.length > 0) throw refused(`the host's CPU lacks ${missing.join(", ")}`);
}

/** Defines a domain, anew if need be: what others have added to it stays. */
async function define(
  host: LibvirtHost,
  spec: GuestSpec,
  xml: string,
  signal: AbortSignal,
): Promise<DomainHandle> {
  const present = await host.domain(spec.uid, signal);
  const name = domainName(spec);
  if (present && present.handle.name !== name) {
    // It was adopted, and has the name that somebody else gave it.
    await host.connections.call(
      procedures.domainRename,
      { domain: present.handle, newName: name, flags: 0 },
      { signal },
    );
  }
  const previous =
    present &&
    (await host.connections.call(
      procedures.domainGetXmlDesc,
      { domain: present.handle, flags: XML_SECURE | XML_INACTIVE },
      { signal },
    ));
  const { domain } = await host.connections.call(
    procedures.domainDefineXmlFlags,
    { xml: previous ? mergeDomain(previous.xml, xml) : xml, flags: VALIDATE },
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
      await shutDown(host, present, signal);
    }
  } catch (error) {
    // It has ended in the meantime.
    if (!isInvalidStateError(error) && !isNotFoundError(error)) throw error;
  }
}

/** Asks the agent, and presses the power button where none answers. */
async function shutDown(
  host: LibvirtHost,
  { handle: domain, description }: HostDomain,
  signal: AbortSignal,
): Promise<void> {
  const press = async (): Promise<void> => {
    const flags = SHUTDOWN_BY_POWER_BUTTON;
    await host.connections.call(procedures.domainShutdownFlags, { domain, flags }, { signal });
  };
  if (!description.agentConnected) return press();
  const options = { signal, deadlineMs: (AGENT_SECONDS + MARGIN_SECONDS) * 1000 };
  try {
    await host.connections.call(
      procedures.domainAgentSetResponseTimeout,
      { domain, timeout: AGENT_SECONDS, flags: 0 },
      options,
    );
    const flags = SHUTDOWN_BY_AGENT;
    await host.connections.call(procedures.domainShutdownFlags, { domain, flags }, options);
  } catch (error) {
    const isSilent = isAgentUnavailableError(error) || isRpcError(error, "RPC_DEADLINE_EXCEEDED");
    if (!isSilent) throw error;
    await press();
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
  const networks = present?.description.interfaces.map(({ network }) => network);
  for (const network of new Set(networks)) await host.networks.release(network, signal);
  await removeGuestMedia(host, uid, signal);
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

function refused(reason: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_REFUSED", reason);
}
