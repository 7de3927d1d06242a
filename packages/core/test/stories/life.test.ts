import { expect, it } from "vitest";
import { diskOfImage, extents, IMAGE_URL, imageManifest, vm } from "../support/manifests.ts";
import { World } from "../support/world.ts";

it("goes from an image to a running VM, and deleting everything leaves nothing", async () => {
  await using world = await World.open();
  const { platform } = world;
  world.images.serve(IMAGE_URL, { extents: extents() });
  await world.apply(imageManifest(), diskOfImage("root"), vm("linux", ["root"]));
  const running = await platform.virtualMachines.waitFor("linux", { phase: "Running" });

  const image = await platform.virtualImages.get("ubuntu");
  expect(image.status).toMatchObject({
    phase: "Ready",
    progress: "100%",
    cdrom: false,
    format: "raw",
    size: { unpacked: "4Mi", unpackedBytes: String(4 * 2 ** 20) },
  });
  const disk = await platform.virtualDisks.get("root");
  expect(disk.status).toMatchObject({
    phase: "Ready",
    progress: "100%",
    capacity: "4Mi",
    storageClassName: "fake",
    target: { persistentVolumeClaimName: `vd-${disk.metadata.uid}` },
  });
  const volume = `vd-${disk.metadata.uid}`;
  expect(world.storage.written(volume)).toEqual([
    { offset: 0, bytes: Buffer.from("boot") },
    { offset: 2 * 2 ** 20, bytes: Buffer.from("root") },
  ]);
  const claim = running.status?.virtualMachineIPAddressName ?? "";
  expect(running.status).toMatchObject({
    phase: "Running",
    nodeName: "node-1",
    ipAddress: "10.66.10.2",
    virtualMachineIPAddressName: expect.stringMatching(/^linux-[0-9a-f]{5}$/),
    blockDeviceRefs: [{ kind: "VirtualDisk", name: "root", attached: true, size: "4Mi" }],
    resources: { cpu: { cores: 1, coreFraction: "100%" }, memory: { size: "1Gi" } },
    guest: { incarnation: 1, state: "Running", host: "node-1", failures: 0 },
  });
  expect(world.hypervisor.guest(running.metadata.uid)?.spec).toMatchObject({
    namespace: "default",
    name: "linux",
    disks: [{ name: "vd-root", source: { type: "file", path: `/volumes/${volume}` } }],
    interfaces: [{ address: "10.66.10.2", mac: "5e:50:0a:42:0a:02" }],
  });
  await world.pass(0);
  expect((await platform.virtualDisks.get("root")).status?.attachedToVirtualMachines).toEqual([
    { name: "linux", mounted: true },
  ]);
  const address = await platform.virtualMachineIPAddresses.get(claim);
  expect(address.status).toMatchObject({ phase: "Attached", virtualMachineName: "linux" });

  await platform.virtualMachines.delete("linux");
  await platform.virtualDisks.delete("root");
  await platform.virtualImages.delete("ubuntu");
  await world.untilGone("VirtualMachine", "linux");
  await world.untilGone("VirtualDisk", "root");
  await world.untilGone("VirtualImage", "ubuntu");
  await world.untilGone("VirtualMachineIPAddress", claim);
  expect(world.storage.volumeNames()).toEqual([]);
  expect([...world.storage.attachments]).toEqual([]);
  expect(world.images.names()).toEqual([]);
  expect((await world.hypervisor.guests()).guests).toEqual([]);

  await world.pass(0);
  const lease = await platform.virtualMachineIPAddressLeases.get("ip-10-66-10-2");
  expect(lease.status?.phase).toBe("Released");
  expect(lease.spec.virtualMachineIPAddressRef).toEqual({ namespace: "default" });
  await world.pass(590_000);
  expect(await world.find("VirtualMachineIPAddressLease", "ip-10-66-10-2")).toBeDefined();
  await world.pass(20_000);
  expect(await world.find("VirtualMachineIPAddressLease", "ip-10-66-10-2")).toBeUndefined();
});

it("does not mind in which order things are created", async () => {
  await using world = await World.open();
  world.images.serve(IMAGE_URL, { extents: extents() });
  await world.apply(vm("linux", ["root"]));
  await world.pass(1_000);
  await world.apply(diskOfImage("root"));
  await world.pass(1_000);
  await world.apply(imageManifest());
  await world.untilPhase("VirtualMachine", "linux", "Running");
  expect(world.running()).toHaveLength(1);
});

it("says what each thing waits for, until it is there", async () => {
  await using world = await World.open();
  world.images.serve(IMAGE_URL, { extents: extents() });
  await world.apply(diskOfImage("root"), vm("linux", ["root"], { virtualMachineClassName: "big" }));
  await world.pass(100);
  const messages = async (): Promise<(string | undefined)[]> => [
    await world.message("VirtualMachine", "linux", "VirtualMachineClassReady"),
    await world.message("VirtualMachine", "linux", "BlockDevicesReady"),
    await world.message("VirtualDisk", "root", "Ready"),
  ];
  expect(await messages()).toEqual([
    'spec.virtualMachineClassName: VirtualMachineClass "big" does not exist: create it or choose one of generic, host, host-passthrough.',
    'spec.blockDeviceRefs[0]: VirtualDisk "root" is Pending: waiting for it to be Ready.',
    'spec.dataSource.objectRef: VirtualImage "ubuntu" does not exist in namespace "default": create it or correct the name.',
  ]);
  expect((await world.vm("linux")).status?.phase).toBe("Pending");
  await world.apply(imageManifest());
  await world.untilPhase("VirtualDisk", "root", "Ready");
  await world.pass(100);
  expect((await messages())[1]).toBe("");
  expect(world.running()).toEqual([]);
  await world.platform.virtualMachineClasses.create({
    metadata: { name: "big" },
    spec: { cpu: { type: "HostPassthrough" } },
  });
  await world.untilPhase("VirtualMachine", "linux", "Running");
  const [guest] = world.running();
  expect(world.hypervisor.guest(guest?.uid ?? "")?.spec.cpu.model.mode).toBe("host-passthrough");
});

it("gives the console of a running VM, and says why there is none yet", async () => {
  await using world = await World.open();
  const { virtualMachines } = world.platform;
  await world.apply(vm("linux", ["root"]));
  await expect(virtualMachines.console("linux")).rejects.toMatchObject({
    code: "POLYVISOR_REFUSED",
    message: 'VirtualMachine "linux" is Pending: wait for it to be Running',
  });
  await expect(virtualMachines.console("other")).rejects.toMatchObject({
    code: "POLYVISOR_NOT_FOUND",
  });
  world.images.serve(IMAGE_URL, { extents: extents() });
  await world.apply(imageManifest(), diskOfImage("root"));
  await world.untilPhase("VirtualMachine", "linux", "Running");
  world.hypervisorFaults.rules.push({ verb: "openSerial", error: new Error("no line") });
  await expect(virtualMachines.console("linux")).rejects.toThrow("no line");
  await using console = await virtualMachines.console("linux");
  const reader = console[Symbol.asyncIterator]();
  const read = async (): Promise<string> =>
    Buffer.from((await reader.next()).value as Uint8Array).toString();
  expect(await read()).toBe("linux login: ");
  await console.write(Buffer.from("root\n"));
  expect(await read()).toBe("root\n");
});
