import type { World } from "./world.ts";

/** What must never be, at no moment. */
export async function wrongsAtOnce({ platform, center }: World): Promise<string[]> {
  const wrongs = [...center.violations()];
  const machines = (await platform.virtualMachines.list()).items;
  for (const { uid, name, incarnation, power } of center.guests()) {
    const vm = machines.find(({ metadata }) => metadata.uid === uid);
    if (vm === undefined) wrongs.push(`guest ${name} is ${power} and has no VM`);
    else if (vm.status?.guest === undefined) wrongs.push(`guest ${name} has no record`);
    else if (vm.status.guest.incarnation < incarnation)
      wrongs.push(`guest ${name} has incarnation ${incarnation}, its record is older`);
  }
  const addresses = (await platform.virtualMachineIPAddresses.list()).items;
  const owners = new Map<string, string>();
  for (const { metadata, status } of addresses) {
    if (status?.address === undefined) continue;
    const other = owners.get(status.address);
    if (other !== undefined) wrongs.push(`${status.address} is of ${metadata.name} and ${other}`);
    owners.set(status.address, metadata.name);
  }
  const disks = (await platform.virtualDisks.list()).items;
  for (const { metadata, status } of disks) {
    const users = status?.attachedToVirtualMachines?.filter(({ mounted }) => mounted) ?? [];
    if (users.length > 1) wrongs.push(`disk ${metadata.name} is mounted ${users.length} times`);
  }
  return wrongs;
}

/** What must not be once everything works again and nothing moves any more. */
export async function wrongsInTheEnd(world: World): Promise<string[]> {
  const { platform, center } = world;
  const wrongs = await wrongsAtOnce(world);
  for (const { name, frozen } of center.guests())
    if (frozen === true) wrongs.push(`guest ${name} is still frozen`);
  for (const vm of (await platform.virtualMachines.list()).items) {
    const { name, uid } = vm.metadata;
    const runs = center.guests().filter((guest) => guest.uid === uid).length;
    const recorded = vm.status?.guest !== undefined && vm.status.guest.state !== "Stopped";
    if (recorded !== (runs === 1)) {
      const held = vm.status?.conditions.find(
        (each) => each.status !== "True" && each.message !== "",
      );
      if (runs > 0 || held === undefined)
        wrongs.push(`${name} is recorded as ${vm.status?.guest?.state} and runs ${runs} times`);
    }
    const settled = ["Running", "Stopped"].includes(vm.status?.phase ?? "");
    const reasons = vm.status?.conditions.filter(
      ({ status, message }) => status !== "True" && message !== "",
    );
    if (!settled && (reasons?.length ?? 0) === 0)
      wrongs.push(`${name} is ${vm.status?.phase} and does not say why`);
    if (vm.metadata.deletionTimestamp !== undefined) wrongs.push(`${name} should be gone`);
  }
  for (const { metadata, status, spec } of (await platform.virtualMachineOperations.list()).items) {
    if (["Completed", "Failed", "Superseded"].includes(status?.phase ?? "")) continue;
    const reason = status?.conditions?.find(
      (each) => each.status !== "True" && each.message !== "",
    );
    if (reason === undefined)
      wrongs.push(
        `${spec.type} ${metadata.name} is ${status?.phase} and does not say what it waits for`,
      );
  }
  return wrongs;
}
