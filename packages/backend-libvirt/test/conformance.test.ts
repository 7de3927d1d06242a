import { type EmbeddedHost, startEmbeddedHost } from "@polyvisor/backend-libvirt/lab";
import { libvirtBackend } from "@polyvisor/backend-libvirt";
import type { GuestSpec } from "@polyvisor/core";
import { type HypervisorFixture, hypervisorSuite } from "@polyvisor/core/conformance";
import { describeConformance } from "@polyvisor/core/conformance/vitest";
import { bootingGuest, emptyDisk, idleGuest, run, startUnknownGuest } from "./support/lab-host.ts";

type MakeGuest = (host: EmbeddedHost, name: string) => Promise<GuestSpec>;

async function openHypervisor(makeGuest: MakeGuest): Promise<HypervisorFixture> {
  const host = await startEmbeddedHost();
  const { hypervisor } = libvirtBackend({ hosts: { "node-1": host.uri } });
  await hypervisor.open(AbortSignal.timeout(30_000));
  return {
    hypervisor,
    host: "node-1",
    patience: 60_000,
    guest: (name) => makeGuest(host, name),
    disk: (name) => emptyDisk(host, name),
    guestWithoutAgent: async (name) => idleGuest(name),
    addUnknownGuest: () => startUnknownGuest(host, "stranger"),
    isUntouched: async (name) => (await run(host, "virsh", "domstate", name)) === "running",
    async [Symbol.asyncDispose]() {
      await hypervisor[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

// Consoles and agents need an operating system that writes and answers.
const needsSystem = ({ id }: { readonly id: string }): boolean => /^(consoles|agent)\//.test(id);
const idle = {
  ...hypervisorSuite,
  cases: hypervisorSuite.cases.filter((each) => !needsSystem(each)),
};
const booting = { ...hypervisorSuite, cases: hypervisorSuite.cases.filter(needsSystem) };
const timeout = 120_000;

describeConformance("libvirt", idle, () => openHypervisor(async (_, name) => idleGuest(name)), {
  timeout,
});
describeConformance("libvirt with a system", booting, () => openHypervisor(bootingGuest), {
  timeout,
});
