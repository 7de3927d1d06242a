import { readFile } from "node:fs/promises";
import { resourceTable } from "@polyvisor/core";
import { expect, it } from "vitest";
import { extents } from "../support/manifests.ts";
import { World } from "../support/world.ts";

function fixture(name: string): Promise<string> {
  return readFile(new URL(`../fixtures/${name}`, import.meta.url), "utf8");
}

const UBUNTU =
  "https://cloud-images.ubuntu.com/minimal/releases/jammy/release/ubuntu-22.04-minimal-cloudimg-amd64.img";

it("takes the manifests of the DVP guides as they are, to a running VM", async () => {
  await using world = await World.open({ cidrs: [], hosts: ["virtlab-pt-2"] });
  const { platform, clock } = world;
  const [config] = await platform.apply(await fixture("module-config.yaml"));
  expect(config?.operation).toBe("configured");
  const { spec } = await platform.moduleConfigs.get("virtualization");
  expect(spec.settings).toEqual({
    dvcr: {
      storage: {
        persistentVolumeClaim: { size: "50G", storageClassName: "sds-replicated-thin-r1" },
        type: "PersistentVolumeClaim",
      },
    },
    virtualMachineCIDRs: ["10.66.10.0/24"],
  });

  world.images.serve(UBUNTU, { extents: extents() });
  const applied = await platform.apply(await fixture("quick-start.yaml"));
  expect(applied.map(({ resource, operation }) => `${resource.kind} ${operation}`)).toEqual([
    "VirtualImage created",
    "VirtualDisk created",
    "VirtualMachine created",
  ]);
  const vm = await platform.virtualMachines.waitFor("linux-vm", { phase: "Running" });
  const built = world.hypervisor.guest(vm.metadata.uid)?.spec;
  expect(built?.cloudInit?.userData).toMatch(
    /^#cloud-config\nssh_pwauth: True\nusers:\n- name: cloud\n/,
  );

  await world.pass(0);
  await world.pass(7 * 3_600_000 + 40 * 60_000);
  const now = clock.now();
  const { items: images } = await platform.virtualImages.list();
  const { items: disks } = await platform.virtualDisks.list();
  const { items: machines } = await platform.virtualMachines.list();
  expect([
    resourceTable("VirtualImage", images, { now }),
    resourceTable("VirtualDisk", disks, { now }),
    resourceTable("VirtualMachine", machines, { now }),
  ]).toEqual([
    {
      columns: ["NAME", "PHASE", "CDROM", "PROGRESS", "AGE"],
      rows: [["ubuntu", "Ready", "false", "100%", "7h40m"]],
    },
    {
      columns: ["NAME", "PHASE", "CAPACITY", "VIRTUALMACHINE", "AGE"],
      rows: [["linux-disk", "Ready", "4Mi", "linux-vm", "7h40m"]],
    },
    {
      columns: ["NAME", "PHASE", "UPTIME", "NODE", "IPADDRESS", "AGE"],
      rows: [["linux-vm", "Running", "7h40m", "virtlab-pt-2", "10.66.10.2", "7h40m"]],
    },
  ]);
  const again = await platform.apply(await fixture("quick-start.yaml"));
  expect(again.map(({ operation }) => operation)).toEqual(["unchanged", "unchanged", "unchanged"]);
});

it("has the predefined classes, and keeps what a user has changed of them", async () => {
  await using world = await World.open();
  const cpus = async (): Promise<unknown> => {
    const { items } = await world.platform.virtualMachineClasses.list();
    return Object.fromEntries(items.map(({ metadata, spec }) => [metadata.name, spec.cpu]));
  };
  const predefined = {
    generic: { type: "Model", model: "Nehalem" },
    host: { type: "Host" },
    "host-passthrough": { type: "HostPassthrough" },
  };
  expect(await cpus()).toEqual(predefined);
  const nodeSelector = { matchLabels: { "kubernetes.io/hostname": "node-2" } };
  await world.platform.virtualMachineClasses.patch("host", { spec: { nodeSelector } });
  await world.restart();
  expect(await cpus()).toEqual(predefined);
  const host = await world.platform.virtualMachineClasses.waitFor("host", {
    until: ({ status }) => status?.availableNodes.join() === "node-2",
  });
  expect(host.spec.nodeSelector).toEqual(nodeSelector);
});
