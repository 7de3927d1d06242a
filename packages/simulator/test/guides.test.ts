import type { DataCenterOptions, StorageClassOptions } from "@polyvisor/simulator";
import { afterAll, beforeAll, describe, it } from "vitest";
import { administratorGuide } from "./guides/administrator-guide.ts";
import { Shell } from "./guides/shell.ts";
import { userGuide } from "./guides/user-guide.ts";
import { SHAPES } from "./support/fixtures.ts";
import { openWorld, type World } from "./support/world.ts";

const MEBIBYTE = 2 ** 20;
const MODELS = ["IvyBridge", "Nehalem", "Opteron_G1", "Penryn", "SandyBridge", "Westmere"];

const replicated = (
  name: string,
  extra: Partial<StorageClassOptions> = {},
): StorageClassOptions => ({
  name,
  isDefault: false,
  snapshotClass: "sds-replicated-volume",
  ...extra,
});
const waiting = { bindingMode: "WaitForFirstConsumer" } as const;

/** The data centre of the guides. */
const dataCenter: DataCenterOptions = {
  hosts: ["virtlab-pt-1", "virtlab-pt-2", "virtlab-pt-3"].map((name, index) => ({
    name,
    labels: {
      group: index === 0 ? "blue" : "green",
      disktype: "ssd",
      "node.deckhouse.io/group": "worker",
    },
    cpu: { model: "IvyBridge", models: MODELS },
  })),
  storages: [
    {
      name: "replicated.csi.storage.deckhouse.io",
      classes: [
        replicated("i-linstor-thin-r1", { isDefault: true }),
        replicated("i-linstor-thin-r2"),
        replicated("i-linstor-thin-r3"),
        replicated("linstor-thin-r1", waiting),
        replicated("linstor-thin-r2", waiting),
        replicated("linstor-thin-r3", waiting),
      ],
    },
    {
      name: "nfs.csi.k8s.io",
      classes: [
        {
          name: "nfs-4-1-wffc",
          isDefault: false,
          uses: [{ accessMode: "ReadWriteMany", volumeMode: "Filesystem" }],
          snapshotClass: "csi-nfs-snapshot-class",
          ...waiting,
        },
      ],
    },
  ],
  images: {
    "https://cloud-images.ubuntu.com/minimal/releases/jammy/release/ubuntu-22.04-minimal-cloudimg-amd64.img":
      {
        sizeBytes: Math.round(285.9 * MEBIBYTE),
        virtualSizeBytes: 2590 * MEBIBYTE,
        bytesPerSecond: 40 * MEBIBYTE,
      },
    "docker.io/username/ubuntu2204:latest": {},
  },
};

const replays = SHAPES.flatMap((placement) =>
  [administratorGuide, userGuide].map((guide) => ({ ...guide, placement })),
);

describe.each(replays)("$title, from top to bottom, $placement placement", (replay) => {
  const { steps, placement } = replay;
  let world: World;
  let shell: Shell;
  beforeAll(async () => {
    world = await openWorld(
      { ...dataCenter, placement },
      {
        uploads: {
          external: "https://virtualization.example.com/upload",
          inCluster: "http://10.222.165.239/upload",
        },
        settings: { virtualMachineCIDRs: ["10.66.10.0/24", "10.66.20.0/24"] },
      },
    );
    shell = new Shell(world);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const played = steps
    .map((step, index) => ({
      step,
      title: `${index + 1}: ${step.command.slice(0, 100)}`,
    }))
    .filter(({ step }) => step.outside === undefined);
  it.each(played)("$title", ({ step }) => shell.run(step));
});
