import { machineEvents } from "../machine/machine-events.ts";
import type { ControllerContext } from "./controller-context.ts";

/** Tells in events what happens to VMs, from what is stored of them, whoever has written it. */
export function reportMachineEvents({ caches, events }: ControllerContext): void {
  caches.of("VirtualMachine").onChange((previous, next) => {
    if (previous === undefined || next === undefined || previous.status === next.status) return;
    for (const note of machineEvents(previous, next)) events.record(next, note);
  });
}
