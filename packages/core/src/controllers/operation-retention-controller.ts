import { findCondition } from "../api/conditions.ts";
import { operationsToRemove, untilNextCollection } from "../operations/operation-retention.ts";
import { sleep } from "../util/clock.ts";
import { isPolyvisorError, messageOf } from "../util/errors.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { isOver } from "./operation-controller.ts";

/** Removes operations that ended long ago, every midnight. */
export class OperationRetentionController implements RunnableController {
  readonly name = "VirtualMachineOperation retention";
  readonly #context: ControllerContext;

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#context;
    while (!signal.aborted) {
      try {
        await sleep(clock, untilNextCollection(clock.now()), signal);
        await this.#collect();
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ error: messageOf(error) }, "could not remove old operations");
      }
    }
  }

  async #collect(): Promise<void> {
    const { store, caches, clock } = this.#context;
    const operations = [...caches.of("VirtualMachineOperation").values()].map(
      ({ metadata, spec, status }) => {
        const ended = findCondition(status?.conditions, "Completed")?.lastTransitionTime;
        return {
          name: metadata.name,
          namespace: metadata.namespace ?? "",
          uid: metadata.uid,
          virtualMachineName: spec.virtualMachineName,
          ...(isOver(status) && {
            endedAt: Date.parse(ended ?? metadata.creationTimestamp),
          }),
        };
      },
    );
    for (const { name, namespace, uid } of operationsToRemove(operations, clock.now())) {
      try {
        await store.delete("VirtualMachineOperation", { name, namespace }, { uid });
      } catch (error) {
        if (!isPolyvisorError(error, "POLYVISOR_NOT_FOUND")) throw error;
      }
    }
  }
}
