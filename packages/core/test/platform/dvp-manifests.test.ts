import { readdirSync, readFileSync } from "node:fs";
import type { AppliedResource, Kind } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { put } from "../support/refusal.ts";
import { extents, vm } from "../support/manifests.ts";
import { World } from "../support/world.ts";

const folder = new URL("../fixtures/dvp-manifests/", import.meta.url);

/** Files that are no manifests, or not whole ones, and what is said of them. */
const REFUSED: Readonly<Record<string, string>> = {
  "crd-example__nodeusbdevices-v1alpha2.yaml":
    'manifest 1: kind: "NodeUSBDevice" is not taken: USB devices are not supported yet',
  "crd-example__usbdevices-v1alpha2.yaml":
    'manifest 1: kind: "USBDevice" is not taken: USB devices are not supported yet',
  "e2e-v0.24.0__cloudinit.yaml": "manifest 1: kind: is missing: use one of ",
  "e2e-v0.24.0__vm-antiaffinity.patch.yaml": "spec.cpu: is missing (object)",
  "e2e-v0.24.0__vm-tolerations.patch.yaml": "spec.cpu: is missing (object)",
  "e2e-v1.4.0__clusternetwork.yaml":
    'manifest 1: kind: "ClusterNetwork" is not taken: networks besides Main are not supported yet',
  "e2e-v1.4.0__vm.bootloader.patch.yaml": "spec.cpu: is missing (object)",
  "e2e-v1.4.0__vm.liveMigrationPolicy.patch.yaml": "spec.cpu: is missing (object)",
};

const FILES = readdirSync(folder).filter((name) => name.endsWith(".yaml"));

function read(file: string): string {
  return readFileSync(new URL(file, folder), "utf8");
}

async function said(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "accepted",
    (error: Error) => error.message,
  );
}

describe("manifests of DVP", () => {
  it.each(FILES.filter((file) => REFUSED[file] === undefined))("%s is accepted", async (file) => {
    await using world = await World.open();
    // The class of the examples, which an administrator has made.
    await put(world, {
      kind: "VirtualMachineClass",
      metadata: { name: "cpu-host-on-worker-nodes" },
      spec: { cpu: { type: "Host" } },
    });
    expect(await said(world.platform.apply(read(file)))).toBe("accepted");
  });

  it.each(Object.entries(REFUSED))("%s is refused: %s", async (file, message) => {
    await using world = await World.open();
    expect(await said(world.platform.apply(read(file)))).toContain(message);
  });

  it.each(FILES.filter((file) => file.includes(".patch.")))("%s works as a patch", async (file) => {
    await using world = await World.open();
    await world.apply(vm("vm", ["root"]));
    for (const document of parseAllDocuments(read(file))) {
      const patch = document.toJS() as Record<string, unknown>;
      expect(await said(world.platform.virtualMachines.patch("vm", patch))).toBe("accepted");
    }
  });
});

/** Where the manifests take content from. */
const SERVED = FILES.flatMap((file) =>
  [...read(file).matchAll(/(?:url|image): "?([^\s"]+\/[^\s"]+)"?/g)].map(([, place = ""]) => place),
);

const API = "virtualization.deckhouse.io/v1alpha2";
const HTTP = { dataSource: { type: "HTTP", http: { url: "https://images.example/a.img" } } };
const BLANK = { persistentVolumeClaim: { size: "1Gi" } };
const IMAGES = [
  "example-image",
  "vi-http",
  "vi-containerimage",
  "vi-oref-cvi",
  "vi-oref-vd",
  "vi-oref-vdsnapshot",
  "vi-pvc-http",
  "vi-pvc-containerimage",
  "vi-pvc-oref-vd",
  "vi-pvc-oref-vdsnapshot",
  "vi-ubuntu-http",
];
const DISKS = ["vd-alpine-http", "vd-attach", "example-disk", "example-data-disk", "root"];

/** What the manifests name and do not bring along. */
const COMPANIONS: readonly Manifest[] = [
  ...["default", "test-d8-virtualization", "workloads"].flatMap((namespace) => {
    const inside = (kind: string, name: string, spec: object): Manifest => ({
      apiVersion: API,
      kind,
      metadata: { name, namespace },
      spec,
    });
    return [
      ...DISKS.map((name) => inside("VirtualDisk", name, BLANK)),
      inside("VirtualDiskSnapshot", "vdsnapshot", { virtualDiskName: "vd-alpine-http" }),
      ...IMAGES.map((name) => inside("VirtualImage", name, HTTP)),
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "cloudinit-for-vms", namespace },
        type: "provisioning.virtualization.deckhouse.io/cloud-init",
        stringData: { userData: "#cloud-config" },
      },
    ];
  }),
  {
    apiVersion: API,
    kind: "ClusterVirtualImage",
    metadata: { name: "example-tools-iso" },
    spec: HTTP,
  },
  vm("vm", ["root"]) as Manifest,
  vm("example-vm", ["example-disk"]) as Manifest,
  {
    apiVersion: API,
    kind: "VirtualMachineSnapshot",
    metadata: { name: "example-vm-snapshot" },
    spec: { virtualMachineName: "example-vm", requiredConsistency: false },
  },
];

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [member: string]: unknown;
}

/** The companions that a file does not bring along itself. */
function companionsOf(file: string): readonly Manifest[] {
  const own = new Set(
    parseAllDocuments(read(file)).map((document) => {
      const { kind, metadata } = document.toJS() as Manifest;
      return `${kind} ${metadata.name}`;
    }),
  );
  return COMPANIONS.filter(({ kind, metadata }) => !own.has(`${kind} ${metadata.name}`));
}

const GOOD = ["Ready", "Running", "Attached", "Completed", "WaitForUserUpload"];

interface Observed {
  readonly phase?: string;
  readonly readyReplicas?: number;
  readonly conditions?: readonly { readonly message: string }[];
}

/** The phase of a resource, and what it says where that is not a good one. */
function state({ kind, metadata, status = {} }: AppliedResource): string {
  const { phase, conditions = [] } = status as Observed;
  if (phase !== undefined && GOOD.includes(phase)) return "good";
  if (kind === "VirtualMachinePool" && (status as Observed).readyReplicas === 3) return "good";
  const messages = conditions.map(({ message }) => message).filter((message) => message !== "");
  return `${kind} ${metadata.name} is ${phase}: ${messages.join(" ")}`;
}

/** What does not come to a good end here, for want of a class, a guest agent or CPU features, and what it says. */
const WAITING: Readonly<Record<string, RegExp>> = {
  "crd-example__virtualdisks-v1alpha2.yaml":
    /^VirtualDisk example-disk is Pending: .*StorageClass "standard" does not exist: create it or choose another\./,
  "crd-example__virtualmachinesnapshots-v1alpha2.yaml":
    /^VirtualMachineSnapshot example-vm-snapshot is Failed: .*the virtual machine agent is not ready and the virtual machine cannot be frozen/,
  "e2e-v0.24.0__vmclass-sizing-policy.yaml":
    /^VirtualMachineClass sizing-policy-discovery is Pending: No common CPU features are discovered across discovery nodes\./,
};

describe("manifests of DVP, with what they name,", () => {
  const accepted = FILES.filter((file) => REFUSED[file] === undefined);
  it.each(accepted)("%s comes to a good end, or says what is wanting", async (file) => {
    await using world = await World.open();
    for (const place of [...SERVED, "https://images.example/a.img"]) {
      world.images.serve(place, { extents: extents() });
    }
    await world.apply(...companionsOf(file));
    await put(world, {
      kind: "VirtualMachineClass",
      metadata: { name: "cpu-host-on-worker-nodes" },
      spec: { cpu: { type: "Host" } },
    });
    await world.pass(60_000);
    const applied = await world.platform.apply(read(file));
    await world.pass(60_000);
    for (const { resource } of applied) {
      const { kind, metadata } = resource;
      const now = await world.platform.client(kind as Kind).get(metadata.name, metadata);
      const said = state(now);
      const waiting = WAITING[file];
      if (waiting === undefined) expect(said).toBe("good");
      else expect(said).toMatch(waiting);
    }
  });
});
