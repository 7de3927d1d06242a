import type { GuestRecord } from "../api/virtual-machine-status.ts";
import type { GuestAgentInfo } from "../backend/guest-agent.ts";
import type { GuestObservation } from "../machine/guest-record.ts";
import { messageOf } from "../util/errors.ts";
import type { ControllerContext } from "./controller-context.ts";

interface Known {
  readonly incarnation: number;
  readonly info: GuestAgentInfo;
}

/** What the agents of running guests have said of themselves; each is asked once in a run. */
export class MachineAgents {
  readonly #context: ControllerContext;
  readonly #known = new Map<string, Known>();

  constructor(context: ControllerContext) {
    this.#context = context;
    context.caches.of("VirtualMachine").onChange((previous, next) => {
      if (previous && !next) this.#known.delete(previous.metadata.uid);
    });
  }

  /** What the agent in a guest says; `undefined` while none answers. */
  async infoOf(
    uid: string,
    record: GuestRecord | undefined,
    observation: GuestObservation,
    signal: AbortSignal,
  ): Promise<GuestAgentInfo | undefined> {
    if (record?.state !== "Running" || observation.state !== "present") return undefined;
    if (!observation.guest.agentConnected || record.host === undefined) return undefined;
    const { incarnation, host } = record;
    const known = this.#known.get(uid);
    if (known?.incarnation === incarnation) return known.info;
    const { agent } = this.#context.fleet.memberFor(record).hypervisor;
    try {
      const info = await agent?.info({ uid, incarnation }, host, signal);
      if (info) this.#known.set(uid, { incarnation, info });
      return info;
    } catch (error) {
      // It is asked again at the next look at the VM; nothing depends on it.
      const fields = { vm: uid, error: messageOf(error) };
      this.#context.logger.debug(fields, "the guest agent does not say what it is");
      return undefined;
    }
  }
}
