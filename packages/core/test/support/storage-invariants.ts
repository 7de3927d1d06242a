import type { World } from "./world.ts";

/** What is wrong with snapshots, images, addresses and operations in a world in which nothing moves any more. */
export async function storageWrongs(world: World): Promise<string[]> {
  return [
    ...(await wrongSnapshots(world)),
    ...(await wrongImages(world)),
    ...(await wrongOperations(world)),
    ...(await wrongMacAddresses(world)),
  ];
}

async function wrongSnapshots({ platform, storage, hypervisor }: World): Promise<string[]> {
  const wrongs = hypervisor
    .runningGuests()
    .filter(({ frozen }) => frozen === true)
    .map(({ name }) => `guest ${name} is frozen`);
  const { items } = await platform.virtualDiskSnapshots.list();
  const kept = new Set(storage.snapshotNames());
  const known = new Set(items.map(({ metadata }) => `vds-${metadata.uid}`));
  for (const name of kept) if (!known.has(name)) wrongs.push(`snapshot ${name} belongs to nobody`);
  for (const { metadata, status } of items) {
    const { name, uid } = metadata;
    if (metadata.deletionTimestamp !== undefined) wrongs.push(`snapshot ${name} should be gone`);
    if (status?.phase === "Ready" && !kept.has(`vds-${uid}`)) {
      wrongs.push(`snapshot ${name} has no content`);
    }
    if (status?.phase === "InProgress") wrongs.push(`snapshot ${name} does not end`);
  }
  const operations = (await platform.virtualMachineOperations.list()).items;
  for (const { metadata, status } of (await platform.virtualMachineSnapshots.list()).items) {
    const { name } = metadata;
    if (metadata.deletionTimestamp !== undefined) wrongs.push(`snapshot ${name} should be gone`);
    if (status?.phase === "InProgress") wrongs.push(`snapshot ${name} does not end`);
    const user = operations.find(({ metadata: { uid } }) => name === `vmop-clone-${uid}`);
    const isLeft =
      user === undefined || !["Pending", "InProgress"].includes(user.status?.phase ?? "Pending");
    if (name.startsWith("vmop-clone-") && isLeft) {
      wrongs.push(`the temporary snapshot ${name} is left`);
    }
  }
  return wrongs;
}

async function wrongImages({ platform, images }: World): Promise<string[]> {
  const { items } = await platform.virtualImages.list();
  const known = new Set(items.map(({ metadata }) => `vi-${metadata.uid}`));
  const wrongs = images
    .names()
    .filter((name) => !known.has(name))
    .map((name) => `the content ${name} belongs to no image`);
  for (const { metadata, status } of items) {
    const { name, uid } = metadata;
    if (metadata.deletionTimestamp !== undefined) wrongs.push(`image ${name} should be gone`);
    const isThere = images.names().includes(`vi-${uid}`);
    if (status?.phase === "Ready" && !isThere) wrongs.push(`image ${name} has no content`);
    if (status?.phase === "Provisioning") wrongs.push(`image ${name} does not end`);
  }
  for (const { metadata, status } of (await platform.virtualDisks.list()).items) {
    if (status?.imageUsers) wrongs.push(`disk ${metadata.name} is kept from VMs for no image`);
  }
  return wrongs;
}

async function wrongOperations({ platform }: World): Promise<string[]> {
  const operations = [
    ...(await platform.virtualMachineOperations.list()).items,
    ...(await platform.virtualMachineSnapshotOperations.list()).items,
  ];
  return operations.flatMap(({ metadata, status }) => {
    const { phase = "Pending", conditions = [] } = status ?? {};
    if (phase === "Completed" || phase === "Failed" || phase === "Superseded") return [];
    const waits = conditions.some(({ status: ok, message }) => ok !== "True" && message !== "");
    return waits ? [] : [`operation ${metadata.name} is ${phase} and says nothing`];
  });
}

async function wrongMacAddresses({ platform }: World): Promise<string[]> {
  const claims = (await platform.virtualMachineMACAddresses.list()).items;
  const leases = (await platform.virtualMachineMACAddressLeases.list()).items;
  const wrongs: string[] = [];
  const holders = leases.map(({ spec }) => spec.virtualMachineMACAddressRef?.name);
  if (new Set(holders).size !== holders.length) wrongs.push("a claim has two MAC addresses");
  for (const holder of holders) {
    if (claims.every(({ metadata }) => metadata.name !== holder)) {
      wrongs.push(`the MAC address of ${holder} belongs to nobody`);
    }
  }
  for (const { metadata, status } of claims) {
    const bound = status?.phase !== "Pending";
    if (bound && !holders.includes(metadata.name)) wrongs.push(`${metadata.name} has no lease`);
  }
  return wrongs;
}
