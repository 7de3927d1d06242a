import { describe, expect, it } from "vitest";
import { vm } from "../support/manifests.ts";
import { World } from "../support/world.ts";

async function refusal(manifest: object): Promise<string> {
  await using world = await World.open();
  return await world.platform.apply([manifest]).then(
    () => "it was taken",
    (error: Error) => error.message,
  );
}

function withSpec(spec: object): object {
  return vm("linux", ["root"], spec);
}

const USER_DATA = { userData: "#cloud-config" };
const REF = { userDataRef: { kind: "Secret", name: "s" } };

describe("a VirtualMachine is refused with", () => {
  it.each<[object, string]>([
    [
      { cpu: { cores: 17 } },
      "spec.cpu.cores: the requested number of cores must be a multiple of 2",
    ],
    [
      { cpu: { cores: 34 } },
      "spec.cpu.cores: the requested number of cores must be a multiple of 4",
    ],
    [
      { cpu: { cores: 65 } },
      "spec.cpu.cores: the requested number of cores must be a multiple of 8",
    ],
    [{ cpu: { cores: 0 } }, "spec.cpu.cores: Too small: expected number to be >=1"],
    [{ cpu: { cores: 249 } }, "spec.cpu.cores: number of cores should not exceed 248"],
    [
      { cpu: { cores: 1, coreFraction: "0%" } },
      "spec.cpu.coreFraction: Core fraction must be 'Auto' or a percentage between 1% and 100%.",
    ],
    [
      { cpu: { cores: 1, coreFraction: "101%" } },
      "spec.cpu.coreFraction: Core fraction must be 'Auto' or a percentage between 1% and 100%.",
    ],
    [{ memory: { size: "0" } }, "spec.memory.size: must be greater than 0"],
    [{ memory: { size: "-1Gi" } }, "spec.memory.size: must be greater than 0"],
    [{ blockDeviceRefs: [] }, "spec.blockDeviceRefs: Too small: expected array to have >=1 items"],
    [
      {
        blockDeviceRefs: Array.from({ length: 17 }, (_, index) => ({
          kind: "VirtualDisk",
          name: `d${index}`,
        })),
      },
      "spec.blockDeviceRefs: Too big: expected array to have <=16 items",
    ],
    [
      {
        blockDeviceRefs: ["a", "b", "a"].map((name) => ({ kind: "VirtualDisk", name })),
      },
      'spec.blockDeviceRefs[2]: cannot specify the same block device reference more than once: VirtualDisk with name "a" has a duplicate reference',
    ],
    [{ provisioning: { type: "UserData" } }, "spec.provisioning: UserData requires userData."],
    [
      { provisioning: { type: "UserData", ...USER_DATA, ...REF } },
      "spec.provisioning: UserData cannot have userDataRef or sysprepRef.",
    ],
    [
      { provisioning: { type: "UserDataRef", ...USER_DATA } },
      "spec.provisioning: UserDataRef requires userDataRef.; spec.provisioning: UserDataRef cannot have userData or sysprepRef.",
    ],
    [
      { provisioning: { type: "UserData", userData: "я".repeat(1025) } },
      "spec.provisioning.userData: `userData` exceeds 2048 byte limit; should use `userDataRef` for larger data.",
    ],
    [
      { runPolicy: "Sometimes" },
      'spec.runPolicy: Invalid option: expected one of "AlwaysOn"|"AlwaysOff"|"Manual"|"AlwaysOnUnlessStoppedManually"',
    ],
    [{ gpus: [{ gpuClassName: "big" }] }, "spec.gpus: a GPU is not supported yet"],
    [
      { terminationGracePeriodSeconds: -1 },
      "spec.terminationGracePeriodSeconds: Too small: expected number to be >=0",
    ],
  ])("%j", async (spec, message) => {
    const refused = await refusal(withSpec(spec));
    expect(refused.replace("default/", "")).toBe(`VirtualMachine "linux" is invalid: ${message}`);
  });

  it("a name that is too long", async () => {
    const name = "x".repeat(64);
    expect(await refusal(vm(name, ["root"]))).toBe(
      `VirtualMachine "${name}" is invalid: metadata.name: the VirtualMachine name "${name}" is too long: it must be no more than 63 characters`,
    );
  });

  it("all broken rules at once", async () => {
    const spec = { cpu: { cores: 17 }, provisioning: { type: "UserData" } };
    expect(await refusal(withSpec(spec))).toBe(
      'VirtualMachine "default/linux" is invalid: spec.cpu.cores: the requested number of cores must be a multiple of 2; spec.provisioning: UserData requires userData.',
    );
  });

  it.each([
    { cpu: { cores: 18 } },
    { cpu: { cores: 248, coreFraction: "1%" } },
    { memory: { size: "512Mi" } },
    { provisioning: { type: "UserData", userData: "я".repeat(1024) } },
    { provisioning: { type: "UserDataRef", ...REF } },
    { terminationGracePeriodSeconds: 0 },
  ])("nothing for %j", async (spec) => {
    expect(await refusal(withSpec(spec))).toBe("it was taken");
  });
});

describe("a VirtualMachineClass is refused with", () => {
  const vmClass = (cpu: object): object => ({
    apiVersion: "virtualization.deckhouse.io/v1alpha2",
    kind: "VirtualMachineClass",
    metadata: { name: "mine" },
    spec: { cpu },
  });

  it.each<[object, string]>([
    [
      { type: "Host", model: "x" },
      "HostPassthrough and Host cannot have model, features or discovery",
    ],
    [
      { type: "HostPassthrough", features: ["x"] },
      "HostPassthrough and Host cannot have model, features or discovery",
    ],
    [{ type: "Model" }, "Model requires model and cannot have features or discovery"],
    [
      { type: "Model", model: "x", features: ["y"] },
      "Model requires model and cannot have features or discovery",
    ],
    [{ type: "Features" }, "Features requires features and cannot have model or discovery"],
    [
      { type: "Features", features: ["x"], model: "y" },
      "Features requires features and cannot have model or discovery",
    ],
  ])("%j", async (cpu, message) => {
    expect(await refusal(vmClass(cpu))).toBe(
      `VirtualMachineClass "mine" is invalid: spec.cpu: ${message}`,
    );
  });

  it("a change of its CPU", async () => {
    await using world = await World.open();
    await world.apply(vmClass({ type: "Host" }));
    await expect(world.apply(vmClass({ type: "HostPassthrough" }))).rejects.toThrow(
      'VirtualMachineClass "mine" is invalid: spec.cpu: .spec.cpu is immutable: create another class',
    );
    await world.apply(vmClass({ type: "Host" }));
  });
});
