import { libvirtBackend } from "@polyvisor/backend-libvirt";
import { startLab } from "@polyvisor/backend-libvirt/lab";
import type { BlockSource } from "@polyvisor/core";
import { type HypervisorFixture, hypervisorSuite } from "@polyvisor/core/conformance";
import { describeConformance } from "@polyvisor/core/conformance/vitest";
import { idleGuest, run, startUnknownGuest } from "./support/lab-host.ts";

/** Two hosts, and guests with a disk that both see. */
async function openLab(): Promise<HypervisorFixture> {
  const lab = await startLab();
  const [first, second] = lab.hosts;
  if (!first || !second) throw new Error("the lab has too few hosts");
  const { hypervisor } = libvirtBackend({
    hosts: Object.fromEntries(lab.hosts.map(({ name, uri, peerUri }) => [name, { uri, peerUri }])),
    storageClasses: [
      { name: "shared", pool: { type: "directory", path: lab.sharedDirectory, shared: true } },
    ],
  });
  await hypervisor.open(AbortSignal.timeout(30_000));
  return {
    hypervisor,
    host: first.name,
    patience: 60_000,
    async guest(name) {
      const guest = idleGuest(name);
      const path = `${lab.sharedDirectory}/${guest.uid}`;
      await run(first, "truncate", "-s", "1M", path);
      const source: BlockSource = { type: "file", path, format: "raw" };
      return {
        ...guest,
        disks: [{ name: "vd-data", serial: "data", source, device: "disk", readOnly: false }],
      };
    },
    addUnknownGuest: () => startUnknownGuest(first, "stranger"),
    isUntouched: async (name) => (await run(first, "virsh", "domstate", name)) === "running",
    prepareMigration: async ({ disks }) => ({ target: second.name, disks }),
    async [Symbol.asyncDispose]() {
      await hypervisor[Symbol.asyncDispose]();
      await lab[Symbol.asyncDispose]();
    },
  };
}

const migration = {
  ...hypervisorSuite,
  cases: hypervisorSuite.cases.filter(({ id }) => id.startsWith("migration/")),
};

describeConformance("libvirt on two hosts", migration, openLab, { timeout: 120_000 });
