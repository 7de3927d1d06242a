import type { RestartAwaitingChange } from "../api/virtual-machine-status.ts";
import type { BlockDeviceRef, VirtualMachineSpec } from "../api/virtual-machine.ts";
import { jsonEquals } from "../util/json.ts";

/** A difference between what a guest was built from and what is wanted. */
export interface ConfigurationChange extends RestartAwaitingChange {
  /** Whether the guest must be restarted for it. */
  readonly action: "Restart" | "Immediate";
}

/** What can be done to the running guest. */
export interface ChangeAbilities {
  /** True when disks and CD-ROMs can be plugged in and out. */
  readonly hotplug: boolean;
  /** True when the guest may stay where it is by the wanted placement terms, or can be moved to where they are met. */
  readonly placeable: boolean;
}

type Action = ConfigurationChange["action"];

/**
 * The differences that matter to a running guest. Source: DVP, `restartAwaitingChanges`: paths have no `spec.`, and
 * `runPolicy`, `disruptions` and `liveMigrationPolicy` act by themselves and are not compared.
 */
export function configurationChanges(
  applied: VirtualMachineSpec,
  wanted: VirtualMachineSpec,
  abilities: ChangeAbilities,
): ConfigurationChange[] {
  const placement: Action = abilities.placeable ? "Immediate" : "Restart";
  const whole = (path: keyof VirtualMachineSpec, action: Action, shown: string = path) =>
    change(shown, applied[path], wanted[path], action);
  return [
    ...whole("virtualMachineClassName", "Restart"),
    ...cpuChanges(applied.cpu, wanted.cpu),
    ...change("memory.size", applied.memory.size, wanted.memory.size, "Restart"),
    ...whole("virtualMachineIPAddressName", "Restart", "virtualMachineIPAddress"),
    ...networkChanges(applied, wanted),
    ...whole("topologySpreadConstraints", "Restart"),
    ...whole("priorityClassName", "Restart"),
    ...whole("affinity", placement),
    ...whole("nodeSelector", placement),
    ...whole("tolerations", placement),
    ...whole("terminationGracePeriodSeconds", "Restart"),
    ...whole("enableParavirtualization", "Restart"),
    ...whole("osType", "Restart"),
    ...whole("bootloader", "Restart"),
    ...blockDeviceChanges(applied.blockDeviceRefs, wanted.blockDeviceRefs, abilities),
    ...provisioningChanges(applied.provisioning, wanted.provisioning),
    ...whole("usbDevices", "Restart"),
    ...whole("gpus", "Restart"),
  ];
}

/** What becomes of changes: one that needs a restart holds up the others, so that they take effect together. */
export function planChanges(changes: readonly ConfigurationChange[]): {
  readonly awaitingRestart: readonly RestartAwaitingChange[];
  readonly immediate: readonly ConfigurationChange[];
} {
  const awaiting = changes.filter(({ action }) => action === "Restart");
  return {
    awaitingRestart: awaiting.map((found) => {
      const { action: _, ...rest } = found;
      return rest;
    }),
    immediate: awaiting.length > 0 ? [] : changes,
  };
}

function change(
  path: string,
  current: unknown,
  desired: unknown,
  action: Action,
): ConfigurationChange[] {
  const [before, after] = [orAbsent(current), orAbsent(desired)];
  if (jsonEquals(before, after)) return [];
  const operation = before === undefined ? "add" : after === undefined ? "remove" : "replace";
  return [
    {
      operation,
      path,
      ...(before !== undefined && { currentValue: before }),
      ...(after !== undefined && { desiredValue: after }),
      action,
    },
  ];
}

/** An empty list or object says the same as none. */
function orAbsent(value: unknown): unknown {
  const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  return isEmpty ? undefined : value;
}

function cpuChanges(
  applied: VirtualMachineSpec["cpu"],
  wanted: VirtualMachineSpec["cpu"],
): ConfigurationChange[] {
  const cores = change("cpu.cores", applied.cores, wanted.cores, "Restart");
  const fraction = change("cpu.coreFraction", applied.coreFraction, wanted.coreFraction, "Restart");
  return cores.length > 0 && fraction.length > 0
    ? change("cpu", applied, wanted, "Restart")
    : [...cores, ...fraction];
}

function networkChanges(
  { networks: applied }: VirtualMachineSpec,
  { networks: wanted }: VirtualMachineSpec,
): ConfigurationChange[] {
  // Numbers are filled in, and no list means the network Main.
  const plain = (networks: VirtualMachineSpec["networks"]) =>
    (networks ?? [{ type: "Main" }]).map((network): object => {
      const { id: _, ...rest } = network;
      return rest;
    });
  return jsonEquals(plain(applied), plain(wanted))
    ? []
    : change("networks", plain(applied), plain(wanted), "Restart");
}

function provisioningChanges(
  applied: VirtualMachineSpec["provisioning"],
  wanted: VirtualMachineSpec["provisioning"],
): ConfigurationChange[] {
  // A guest that is set up does not need it any more.
  if (wanted === undefined) return change("provisioning", applied, wanted, "Immediate");
  if (applied?.type !== wanted.type) return change("provisioning", applied, wanted, "Restart");
  return [
    ...change("provisioning.userData", applied.userData, wanted.userData, "Restart"),
    ...(["userDataRef", "sysprepRef"] as const).flatMap((ref) => [
      ...change(`provisioning.${ref}.kind`, applied[ref]?.kind, wanted[ref]?.kind, "Restart"),
      ...change(`provisioning.${ref}.name`, applied[ref]?.name, wanted[ref]?.name, "Restart"),
    ]),
  ];
}

/** True when both name the same device, whatever else they say of it. */
export function isSameDevice(
  one: Pick<BlockDeviceRef, "kind" | "name">,
  other: Pick<BlockDeviceRef, "kind" | "name">,
): boolean {
  return one.kind === other.kind && one.name === other.name;
}

/**
 * Devices can come and go while the guest runs. The order of those that stay, and a new one before any of them, is about
 * booting and needs a restart.
 */
function blockDeviceChanges(
  applied: readonly BlockDeviceRef[],
  wanted: readonly BlockDeviceRef[],
  { hotplug }: ChangeAbilities,
): ConfigurationChange[] {
  const plug: Action = hotplug ? "Immediate" : "Restart";
  const removed = applied.flatMap((ref, index) =>
    wanted.some((other) => isSameDevice(ref, other))
      ? []
      : change(`blockDeviceRefs.${index}`, ref, undefined, plug),
  );
  const isKept = (ref: BlockDeviceRef): boolean =>
    applied.some((other) => isSameDevice(ref, other));
  const [before, after] = [inBootOrder(applied), inBootOrder(wanted)];
  const lastKept = after.findLastIndex(isKept);
  const keptBefore = before.filter((ref) => wanted.some((other) => isSameDevice(ref, other)));
  const keptAfter = after.filter(isKept);
  const rest = wanted.flatMap((ref, index) => {
    const path = `blockDeviceRefs.${index}`;
    if (!isKept(ref)) {
      const isLast = after.indexOf(ref) > lastKept;
      return change(path, undefined, ref, isLast ? plug : "Restart");
    }
    const current = keptBefore[keptAfter.indexOf(ref)];
    const own = applied.find((other) => isSameDevice(ref, other));
    const isMoved = current === undefined || !isSameDevice(current, ref);
    return isMoved ? moved(path, own, ref) : [];
  });
  return [...removed, ...rest];
}

function moved(
  path: string,
  applied: BlockDeviceRef | undefined,
  wanted: BlockDeviceRef,
): ConfigurationChange[] {
  return [
    {
      operation: "replace",
      path,
      ...(applied !== undefined && { currentValue: applied }),
      desiredValue: wanted,
      action: "Restart",
    },
  ];
}

/** Those with a `bootOrder` come first, by it; then the others in the order of the list. */
export function inBootOrder<R extends { readonly bootOrder?: number }>(refs: readonly R[]): R[] {
  const rank = ({ bootOrder = Infinity }: R): number => bootOrder;
  return refs.toSorted((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
}
