import { memoryStore } from "@polyvisor/core";
import {
  formatReport,
  type HypervisorFixture,
  hypervisorSuite,
  type ResourceStoreFixture,
  resourceStoreSuite,
  runConformance,
  type StorageFixture,
  storageSuite,
} from "@polyvisor/core/conformance";
import { describeConformance } from "@polyvisor/core/conformance/vitest";
import { FakeClock, FakeHypervisor, FakeStorage } from "@polyvisor/core/testing";
import { expect, it } from "vitest";
import { guestSpec } from "./support/guest-spec.ts";

async function openHypervisor(): Promise<HypervisorFixture> {
  const hypervisor = new FakeHypervisor();
  return {
    hypervisor,
    host: "node-1",
    patience: 1000,
    guest: async (name) => guestSpec(name),
    addUnknownGuest: async () => {
      hypervisor.addUnknownGuest("node-1", "stranger");
      return "stranger";
    },
    isUntouched: async (name) => {
      const hosts = await hypervisor.hosts();
      return hosts.some(({ unknownGuests }) => unknownGuests.includes(name));
    },
    [Symbol.asyncDispose]: () => hypervisor[Symbol.asyncDispose](),
  };
}

async function openStorage(): Promise<StorageFixture> {
  const storage = new FakeStorage();
  return {
    storage,
    host: "node-1",
    read: async (name) => {
      const volume = await storage.getVolume(name);
      const content = Buffer.alloc(volume?.sizeBytes ?? 0);
      for (const { offset, bytes } of storage.written(name)) content.set(bytes, offset);
      return content;
    },
    [Symbol.asyncDispose]: () => storage[Symbol.asyncDispose](),
  };
}

async function openStore(): Promise<ResourceStoreFixture> {
  const store = memoryStore({ clock: new FakeClock() });
  return { store, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

describeConformance("fake", hypervisorSuite, openHypervisor);
describeConformance("fake", storageSuite, openStorage);
describeConformance("memory", resourceStoreSuite, openStore);

it("reports every case without a test runner", async () => {
  const results = await runConformance(storageSuite, openStorage);
  expect(results.map(({ outcome }) => outcome)).toEqual(storageSuite.cases.map(() => "passed"));
  const report = formatReport("Storage: fake", results);
  expect(report.split("\n").at(0)).toBe("Storage: fake");
  expect(report).toMatch(/passed +volumes\/life +a volume is made, found and deleted/);
  expect(report.split("\n").at(-1)).toBe(`  ${results.length} passed`);
});

it("finds an implementation that breaks a rule, and reports a waiver of it", async () => {
  const openBroken = async (): Promise<StorageFixture> => {
    const fixture = await openStorage();
    return {
      ...fixture,
      storage: Object.assign(new FakeStorage(), { deleteVolume: async () => {} }),
    };
  };
  const cases = storageSuite.cases.filter(({ id }) => id.startsWith("volumes/"));
  const suite = { ...storageSuite, cases };
  const failed = await runConformance(suite, openBroken);
  expect(failed.find(({ id }) => id === "volumes/life")?.outcome).toBe("failed");
  const waivers = { "volumes/life": "deletes by night" };
  const waived = await runConformance(suite, openBroken, { waivers });
  expect(waived.find(({ id }) => id === "volumes/life")).toMatchObject({
    outcome: "waived",
    detail: "deletes by night",
  });
});

it("leaves a case out only because the manifest says so", async () => {
  const results = await runConformance(hypervisorSuite, async () => {
    const fixture = await openHypervisor();
    const { hypervisor } = fixture;
    Object.assign(hypervisor, {
      capabilities: { ...hypervisor.capabilities, consoles: { serial: false, vnc: false } },
      consoles: undefined,
    });
    return fixture;
  });
  const without = results.filter(({ outcome }) => outcome === "not applicable");
  const left = without.map(({ id }) => id);
  expect(without.find(({ id }) => id === "placement/pending")?.detail).toBe(
    "lacks placement=delegated",
  );
  expect(left).toEqual(expect.arrayContaining(["consoles/serial", "consoles/not-running"]));
  expect(results.filter(({ outcome }) => outcome === "failed")).toEqual([]);
});

it("tells of a factory whose instances share something, and of a waiver that is not needed", async () => {
  const shared = await openStorage();
  const results = await runConformance(storageSuite, async () => shared, {
    waivers: { "classes/default": "not needed" },
  });
  expect(results[0]).toMatchObject({ id: "fixture/isolated", outcome: "failed" });
  expect(results.find(({ id }) => id === "classes/default")?.outcome).toBe("needless waiver");
});

it("refuses a waiver for a case that does not exist", async () => {
  const run = runConformance(storageSuite, openStorage, { waivers: { "no/such-case": "why" } });
  await expect(run).rejects.toThrow(/no case no\/such-case/);
});
