import { type ConditionInput, mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type {
  VirtualMachineBlockDeviceAttachment,
  VirtualMachineBlockDeviceAttachmentStatus,
} from "../api/virtual-machine-block-device-attachment.ts";
import type { GuestDevice } from "../api/virtual-machine-status.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { attachmentConflict } from "../machine/attachment-decision.ts";
import { isSameDevice } from "../machine/configuration-changes.ts";
import { MOST_DEVICES } from "../machine/device-decision.ts";
import { condition } from "../machine/machine-conditions.ts";
import { timestamp } from "../util/clock.ts";
import { jsonEquals } from "../util/json.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import {
  ATTACHMENTS_BY_DEVICE,
  ATTACHMENTS_BY_MACHINE,
  attachmentsOf,
  deviceKey,
} from "./machine-attachments.ts";
import { findDevice } from "./machine-block-devices.ts";
import { Controller } from "./runtime/controller.ts";

type Attachment = VirtualMachineBlockDeviceAttachment;
type Phase = VirtualMachineBlockDeviceAttachmentStatus["phase"];

/** Says of attachments how they are. Plugging is done by the controller of VMs, which alone writes what guests have. */
export class AttachmentController implements RunnableController {
  readonly name = "VirtualMachineBlockDeviceAttachment controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { caches, clock, logger } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 4,
      reconcile: (key) => this.#reconcile(key),
    });
    const attachments = caches.of("VirtualMachineBlockDeviceAttachment");
    const enqueue = ({ metadata }: Attachment): void => this.#controller.enqueue(keyOf(metadata));
    const ofDevice = (kind: string, key: string): void =>
      attachments.findBy(ATTACHMENTS_BY_DEVICE, deviceKey(kind, key)).forEach(enqueue);
    attachments.onChange((previous, next) => {
      const one = next ?? previous;
      if (one === undefined) return;
      enqueue(one);
      const { kind, name } = one.spec.blockDeviceRef;
      // Another one may have been in conflict with it.
      ofDevice(kind, `${one.metadata.namespace}/${name}`);
    });
    caches.onChange("VirtualMachine", ({ metadata }) =>
      attachments.findBy(ATTACHMENTS_BY_MACHINE, keyOf(metadata)).forEach(enqueue),
    );
    for (const kind of ["VirtualDisk", "VirtualImage", "ClusterVirtualImage"] as const)
      caches.onChange(kind, ({ metadata }) => ofDevice(kind, keyOf(metadata)));
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(key: string): Promise<void> {
    const { store, caches } = this.#context;
    const found = caches.of("VirtualMachineBlockDeviceAttachment").get(key);
    const stored =
      found && (await store.get("VirtualMachineBlockDeviceAttachment", found.metadata));
    if (stored === undefined) return;
    const { namespace = "" } = stored.metadata;
    const { blockDeviceRef, virtualMachineName: name } = stored.spec;
    const vm = await store.get("VirtualMachine", { name, namespace });
    const isActive = vm?.status?.guest !== undefined && vm.status.guest.state !== "Stopped";
    const device = isActive
      ? vm.status.guest.devices?.find((one) => isSameDevice(one, blockDeviceRef))
      : undefined;
    const isOwn = device?.attachment === stored.metadata.name;
    if (stored.metadata.deletionTimestamp !== undefined) {
      if (!isOwn) return withoutFinalizer(store, stored, FINALIZERS.attachment);
      const message = `The block device is being detached from VirtualMachine "${name}". ${device.message ?? ""}`;
      const pending = condition("Terminating", "True", "DetachPending", message.trim());
      return this.#write(stored, "Terminating", [pending]);
    }
    const attachment = await withFinalizer(store, stored, FINALIZERS.attachment);
    const { phase, conditions } = this.#judge(attachment, vm, isOwn ? device : undefined);
    return this.#write(attachment, phase, conditions);
  }

  #judge(
    attachment: Attachment,
    vm: VirtualMachine | undefined,
    device: GuestDevice | undefined,
  ): { readonly phase: Phase; readonly conditions: readonly ConditionInput[] } {
    const machine = machineCondition(attachment, vm);
    const others = vm ? this.#rivals(attachment, vm) : [];
    const conflict = attachmentConflict(attachment, others, vm?.spec.blockDeviceRefs ?? []);
    const found = vm && findDevice(vm, attachment.spec.blockDeviceRef, this.#context);
    const problem = found && "problem" in found ? found.problem : undefined;
    const ready =
      problem === undefined || device?.state === "Attached"
        ? condition("BlockDeviceReady", "True", "BlockDeviceReady")
        : condition("BlockDeviceReady", "False", "BlockDeviceNotReady", problem);
    const notAttached = (reason: string, message: string): ConditionInput =>
      condition("Attached", "False", reason, message);
    const judged = (phase: Phase, attached: ConditionInput) => ({
      phase,
      conditions: [ready, machine, attached],
    });
    if (conflict !== undefined) return judged("Failed", notAttached("Conflict", conflict));
    switch (device?.state) {
      case "Attached":
        return judged("Attached", condition("Attached", "True", "Attached"));
      case "Attaching":
      case "Detaching":
        return judged(
          "InProgress",
          notAttached(
            "AttachmentRequestSent",
            "Attachment request sent: attachment is in progress.",
          ),
        );
      case "Waiting": {
        const isElsewhere =
          device.message?.startsWith("The disk storage is not available") === true;
        const reason = isElsewhere ? "DeviceNotAvailableOnNode" : "NotAttached";
        return judged("Pending", notAttached(reason, device.message ?? ""));
      }
      case undefined:
        break;
    }
    if (machine.status !== "True")
      return judged("Pending", notAttached("NotAttached", machine.message));
    if (ready.status !== "True")
      return judged("Pending", notAttached("NotAttached", ready.message));
    const { hypervisor: name } = vm?.status?.guest ?? {};
    const member = this.#context.fleet.members().find(({ hypervisor }) => hypervisor.name === name);
    if (member !== undefined && !member.hypervisor.capabilities.hotplug) {
      const message = `Hypervisor "${name}" cannot attach block devices to running guests: name the device in spec.blockDeviceRefs of the VirtualMachine and restart it.`;
      return judged("Pending", notAttached("NotAttached", message));
    }
    const capacity = this.#capacityProblem(vm);
    if (capacity !== undefined) {
      const reached = condition(
        "DiskAttachmentCapacityAvailable",
        "False",
        "CapacityReached",
        capacity,
      );
      const { phase, conditions } = judged("Pending", notAttached("NotAttached", capacity));
      return { phase, conditions: [...conditions, reached] };
    }
    return judged("InProgress", notAttached("NotAttached", "Waiting for the disk to be attached."));
  }

  /** Attachments that could be in conflict with one: those of the VM, and those of the disk, the oldest first. */
  #rivals({ metadata, spec }: Attachment, vm: VirtualMachine): Attachment[] {
    const { kind, name } = spec.blockDeviceRef;
    const sameDevice = this.#context.caches
      .of("VirtualMachineBlockDeviceAttachment")
      .findBy(ATTACHMENTS_BY_DEVICE, deviceKey(kind, `${metadata.namespace}/${name}`));
    const all = new Map(
      [...attachmentsOf(vm, this.#context), ...sameDevice].map((one) => [one.metadata.uid, one]),
    );
    const order = ({ metadata: { creationTimestamp, name: own } }: Attachment): string =>
      `${creationTimestamp} ${own}`;
    return [...all.values()]
      .filter((one) => one.metadata.deletionTimestamp === undefined)
      .toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  #capacityProblem(vm: VirtualMachine | undefined): string | undefined {
    const devices = vm?.status?.guest?.devices?.filter(({ state }) => state !== "Waiting") ?? [];
    return devices.length >= MOST_DEVICES
      ? "Virtual machine block device capacity reached."
      : undefined;
  }

  async #write(
    attachment: Attachment,
    phase: Phase,
    conditions: readonly ConditionInput[],
  ): Promise<void> {
    const { store, clock } = this.#context;
    const { generation } = attachment.metadata;
    const status: VirtualMachineBlockDeviceAttachmentStatus = {
      phase,
      virtualMachineName: attachment.spec.virtualMachineName,
      conditions: mergeConditions(
        attachment.status?.conditions,
        conditions.map((input) => ({ ...input, observedGeneration: generation })),
        timestamp(clock),
      ),
      observedGeneration: generation,
    };
    if (jsonEquals(status, attachment.status)) return;
    await store.updateStatus("VirtualMachineBlockDeviceAttachment", { ...attachment, status });
  }
}

function machineCondition({ spec }: Attachment, vm: VirtualMachine | undefined): ConditionInput {
  const type = "VirtualMachineReady";
  const named = `VirtualMachine "${spec.virtualMachineName}"`;
  if (vm === undefined) {
    const message = `${named} does not exist: create it or correct spec.virtualMachineName.`;
    return condition(type, "False", "VirtualMachineNotReady", message);
  }
  const phase = vm.status?.phase ?? "Pending";
  if (phase === "Running" || phase === "Migrating") return condition(type, "True", type);
  const message = `${named} is ${phase}: waiting for the VirtualMachine to be Running.`;
  return condition(type, "False", "VirtualMachineNotReady", message);
}
