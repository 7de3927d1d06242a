import type { VirtualDisk, VirtualMachine } from "@polyvisor/core";
import { storageWrongs } from "./storage-invariants.ts";
import type { World } from "./world.ts";

interface Facts {
  readonly machines: readonly VirtualMachine[];
  readonly disks: readonly VirtualDisk[];
  /** Names of the claims to addresses. */
  readonly claims: readonly string[];
}

/** What is wrong with a world in which nothing moves any more. */
export async function wrongsOf(world: World): Promise<string[]> {
  const { platform } = world;
  const facts: Facts = {
    machines: (await platform.virtualMachines.list()).items,
    disks: (await platform.virtualDisks.list()).items,
    claims: (await platform.virtualMachineIPAddresses.list()).items.map(
      ({ metadata }) => metadata.name,
    ),
  };
  return [
    ...(await wrongGuests(world, facts)),
    ...wrongMachines(facts),
    ...wrongVolumes(world, facts),
    ...wrongAttachments(world, facts),
    ...(await wrongAddresses(world)),
    ...(await wrongOperations(world)),
    ...(await wrongHotplug(world, facts)),
    ...(await storageWrongs(world)),
  ];
}

function isActive({ status }: VirtualMachine): boolean {
  return status?.guest !== undefined && status.guest.state !== "Stopped";
}

function isDeleted({ metadata }: { metadata: { deletionTimestamp?: string } }): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** True for a start that cannot go on because a disk is gone: it is not given up, since the guest may run. */
function isHeldUp(vm: VirtualMachine, { disks }: Facts): boolean {
  if (vm.status?.guest?.state !== "Starting") return false;
  const refs = vm.status.guest.appliedSpec?.blockDeviceRefs ?? [];
  return refs.some(({ name }) => {
    const disk = disks.find(({ metadata }) => metadata.name === name);
    return disk?.status?.phase !== "Ready" || isDeleted(disk);
  });
}

async function wrongGuests(world: World, facts: Facts): Promise<string[]> {
  const { machines } = facts;
  const { guests } = await world.hypervisor.guests();
  const wrongs = guests
    .filter(({ uid }) => machines.every(({ metadata }) => metadata.uid !== uid))
    .map(({ name, host }) => `guest ${name} on ${host} has no VM`);
  for (const vm of machines) {
    const running = guests.filter(
      ({ uid, power }) => uid === vm.metadata.uid && power !== "stopped",
    );
    const known = vm.status?.guest;
    const described = `${vm.metadata.name} (${known?.state} ${known?.incarnation})`;
    if (running.length > 1) wrongs.push(`${described} runs ${running.length} times`);
    if (isActive(vm) !== (running.length === 1) && !isHeldUp(vm, facts))
      wrongs.push(`${described} has ${running.length} running guests`);
    if (running[0] && running[0].incarnation !== known?.incarnation)
      wrongs.push(`${described} runs with incarnation ${running[0].incarnation}`);
  }
  return wrongs;
}

/** Every VM that is wanted runs, unless something that exists keeps it from running. */
function wrongMachines(facts: Facts): string[] {
  return facts.machines.flatMap((vm) => {
    if (isHeldUp(vm, facts)) return [];
    const { name } = vm.metadata;
    const { runPolicy } = vm.spec;
    const phase = vm.status?.phase;
    if (isDeleted(vm)) return [`${name} should be gone and is ${phase}`];
    const stopReason = vm.status?.guest?.stopReason;
    const byHand =
      stopReason === "GuestShutdown" ||
      stopReason === "Stopped" ||
      stopReason === "StoppedByOperation";
    const goesOn = stopReason === "GuestReset" || stopReason === "StoppedForRestart";
    if (isActive(vm)) {
      return phase === "Running" && runPolicy !== "AlwaysOff"
        ? []
        : [`${name} runs and is ${phase}`];
    }
    const wanted =
      runPolicy === "AlwaysOn" ||
      (runPolicy === "AlwaysOnUnlessStoppedManually" && !byHand) ||
      (runPolicy !== "AlwaysOff" && (goesOn || vm.status?.guest?.startRequested === true));
    if (!wanted) return phase === "Stopped" ? [] : [`${name} should be Stopped and is ${phase}`];
    const reason = obstacle(vm, facts);
    const why = vm.status?.conditions.find(({ status }) => status !== "True")?.message;
    if (reason === undefined) return [`${name} should run and is ${phase}: ${why}`];
    return phase === "Pending" && why ? [] : [`${name} does not say that ${reason}`];
  });
}

function obstacle(vm: VirtualMachine, { machines, disks, claims }: Facts): string | undefined {
  for (const { name } of vm.spec.blockDeviceRefs) {
    const disk = disks.find(({ metadata }) => metadata.name === name);
    if (disk?.status?.phase !== "Ready" || isDeleted(disk)) return `disk ${name} is not ready`;
    const holder = machines.find(
      (other) =>
        other !== vm &&
        isActive(other) &&
        other.status?.guest?.devices?.some(
          (device) => device.name === name && device.state !== "Waiting",
        ),
    );
    if (holder) return `disk ${name} is held by ${holder.metadata.name}`;
  }
  const named = vm.spec.virtualMachineIPAddressName;
  if (named === undefined) return undefined;
  if (!claims.includes(named)) return `the address ${named} does not exist`;
  const user = machines.find(
    (other) =>
      other !== vm &&
      (other.status?.guest?.appliedSpec ?? other.spec).virtualMachineIPAddressName === named,
  );
  return user ? `the address may be attached to ${user.metadata.name}` : undefined;
}

function wrongVolumes(world: World, { disks, machines }: Facts): string[] {
  const names = new Set(disks.map(({ metadata }) => `vd-${metadata.uid}`));
  const wrongs = world.storage
    .volumeNames()
    .filter((name) => !names.has(name))
    .map((name) => `volume ${name} has no disk`);
  for (const disk of disks) {
    const { name, uid } = disk.metadata;
    const mounted = disk.status?.attachedToVirtualMachines?.filter((user) => user.mounted) ?? [];
    if (mounted.length > 1) wrongs.push(`disk ${name} is mounted ${mounted.length} times`);
    const ready = disk.status?.phase === "Ready";
    if (ready && !world.storage.volumeNames().includes(`vd-${uid}`))
      wrongs.push(`disk ${name} has no volume`);
    const holders = machines.filter(
      (vm) => isActive(vm) && vm.status?.guest?.devices?.some((device) => device.name === name),
    );
    if (isDeleted(disk) && holders.length === 0) wrongs.push(`disk ${name} should be gone`);
  }
  return wrongs;
}

async function wrongAddresses({ platform }: World): Promise<string[]> {
  const claims = (await platform.virtualMachineIPAddresses.list()).items;
  const leases = (await platform.virtualMachineIPAddressLeases.list()).items;
  const wrongs: string[] = [];
  const taken = new Set<string>();
  for (const { metadata, status } of claims) {
    const { address } = status ?? {};
    if (address === undefined) {
      wrongs.push(`${metadata.name} has no address`);
      continue;
    }
    if (taken.has(address)) wrongs.push(`${address} is leased twice`);
    taken.add(address);
    const lease = leases.find((one) => one.metadata.name === `ip-${address.replaceAll(".", "-")}`);
    if (lease?.spec.virtualMachineIPAddressRef?.name !== metadata.name)
      wrongs.push(`${metadata.name} does not hold the lease of ${address}`);
  }
  if (leases.length > claims.length)
    wrongs.push(`${leases.length} leases are left for ${claims.length} addresses`);
  return wrongs;
}

/** What is attached to hosts is what the guests there have, and nothing else. */
function wrongAttachments(world: World, facts: Facts): string[] {
  const wanted = facts.machines
    .filter(isActive)
    .flatMap(({ status }) =>
      (status?.guest?.devices ?? [])
        .filter(({ state }) => state !== "Waiting")
        .map(({ volume }) => `${volume} ${status?.guest?.host}`),
    );
  const there = [...world.storage.attachments].map((text) => text.split(/[^-\w]+/).join(" "));
  const heldUp = facts.machines.some((vm) => isHeldUp(vm, facts));
  return heldUp
    ? []
    : [
        ...there.filter((one) => !wanted.includes(one)).map((one) => `${one} is left attached`),
        ...wanted.filter((one) => !there.includes(one)).map((one) => `${one} is not attached`),
      ];
}

/** Every operation has ended, or says what it waits for. */
async function wrongOperations({ platform }: World): Promise<string[]> {
  const { items } = await platform.virtualMachineOperations.list();
  return items.flatMap(({ metadata, spec, status }) => {
    const { phase } = status ?? {};
    const described = `${metadata.name} (${spec.type} ${spec.virtualMachineName})`;
    if (metadata.deletionTimestamp !== undefined) return [`${described} should be gone`];
    if (phase === "Completed" || phase === "Failed" || phase === "Superseded") return [];
    const why = status?.conditions.find(({ type }) => type === "Completed")?.message;
    return why ? [] : [`${described} is ${phase} and does not say why`];
  });
}

/** An attachment is in the guest exactly when it says so; else it says why not. */
async function wrongHotplug({ platform, hypervisor }: World, facts: Facts): Promise<string[]> {
  const { items } = await platform.virtualMachineBlockDeviceAttachments.list();
  return items.flatMap(({ metadata, spec, status }) => {
    const { name } = spec.blockDeviceRef;
    const described = `${metadata.name} (${name} in ${spec.virtualMachineName}, ${status?.phase})`;
    if (metadata.deletionTimestamp !== undefined) return [`${described} should be gone`];
    const vm = facts.machines.find((one) => one.metadata.name === spec.virtualMachineName);
    const guest = vm && hypervisor.guest(vm.metadata.uid);
    const runs = guest !== undefined && guest.state.power !== "stopped";
    const has = runs && guest.spec.disks.some((disk) => disk.name === `vd-${name}`);
    if (status?.phase === "Attached") return has ? [] : [`${described} is not in the guest`];
    const why = status?.conditions.find(({ type }) => type === "Attached")?.message;
    return why ? [] : [`${described} does not say why`];
  });
}
