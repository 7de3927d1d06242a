import { readFileSync } from "node:fs";
import {
  type Applied,
  type AppliedResource,
  convertToVersion,
  type VirtualMachine,
} from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { type Document, parseAllDocuments } from "yaml";
import { operation, vm } from "../support/manifests.ts";
import { World } from "../support/world.ts";

/** As the administrator guide configures them. */
const CIDRS = ["10.66.10.0/24", "10.66.20.0/24"];

function examples(name: string): readonly (readonly [string, Document])[] {
  const text = readFileSync(new URL(`../fixtures/${name}`, import.meta.url), "utf8");
  const documents = parseAllDocuments(text) as Document[];
  return documents.map((document, index) => [
    `${index + 1}: ${String(document.get("kind"))}`,
    document,
  ]);
}

async function apply(document: Document): Promise<Applied<AppliedResource> | string> {
  await using world = await World.open({ cidrs: CIDRS });
  try {
    const [applied] = await world.platform.apply(document.toString());
    return applied ?? "nothing";
  } catch (error) {
    return (error as Error).message;
  }
}

describe.each(["guide-administrator.yaml", "guide-user.yaml"])("every manifest of %s", (name) => {
  it.each(examples(name))("is accepted: %s", async (_, document) => {
    const applied = await apply(document);
    expect(typeof applied === "string" ? applied : "accepted").toBe("accepted");
  });
});

describe("every part of a VM that the user guide shows", () => {
  it.each(examples("guide-user-patches.yaml"))(
    "is accepted as a patch: %s",
    async (_, document) => {
      await using world = await World.open({ cidrs: CIDRS });
      await world.apply(vm("linux-vm", ["ubuntu-root"]));
      const patch = document.toJS() as Record<string, unknown>;
      const said = await world.platform.virtualMachines.patch("linux-vm", patch).then(
        () => "accepted",
        (error: Error) => error.message,
      );
      expect(said).toBe("accepted");
    },
  );
});

describe("what guides write otherwise than the schema", () => {
  it("is rewritten, and the user is told", async () => {
    await using world = await World.open({ cidrs: CIDRS });
    const manifest = vm("linux-vm", ["root"], {
      virtualMachineIPAdressName: "custom",
      provisioning: { type: "UserData", userData: "#cloud-config\nrun_cmd: [ls]\n" },
    });
    const [applied] = await world.platform.apply([manifest]);
    expect((applied?.resource as VirtualMachine | undefined)?.spec).toMatchObject({
      virtualMachineIPAddressName: "custom",
    });
    expect(applied?.warnings).toEqual([
      "spec.virtualMachineIPAdressName: is written virtualMachineIPAddressName",
      "spec.provisioning.userData: cloud-init does not know run_cmd: runcmd is meant",
    ]);
  });

  it("is refused when it is written both ways", async () => {
    await using world = await World.open();
    const names = { virtualMachineIPAdressName: "a", virtualMachineIPAddressName: "b" };
    await expect(world.platform.apply([vm("x", ["root"], names)])).rejects.toThrow(
      'VirtualMachine "x" is invalid: spec.virtualMachineIPAdressName: unknown field',
    );
  });

  it.each([
    ["restart", "Restart"],
    ["stop", "Stop"],
    ["Migrate", "Migrate"],
  ])("takes the operation %s for %s", async (type, normal) => {
    await using world = await World.open();
    const [applied] = await world.platform.apply([operation("now", type, "linux")]);
    expect(applied?.resource).toMatchObject({ spec: { type: normal } });
  });

  it("of sizing policies is kept as percentages, in the newer version", async () => {
    await using world = await World.open();
    const [applied] = await world.platform.apply([
      {
        apiVersion: "virtualization.deckhouse.io/v1alpha2",
        kind: "VirtualMachineClass",
        metadata: { name: "small" },
        spec: {
          cpu: { type: "Host" },
          sizingPolicies: [
            {
              cores: { min: 1, max: 4 },
              coreFractions: [5, 100],
              defaultCoreFraction: 5,
              dedicatedCores: [false],
            },
          ],
        },
      },
    ]);
    expect(applied?.resource).toMatchObject({
      apiVersion: "virtualization.deckhouse.io/v1alpha3",
      spec: { sizingPolicies: [{ coreFractions: ["5%", "100%"], defaultCoreFraction: "5%" }] },
    });
    expect(applied?.warnings).toEqual([
      "v1alpha2.VirtualMachineClass is deprecated; use v1alpha3.VirtualMachineClass",
      "spec.sizingPolicies[].dedicatedCores has no effect: VMs have no such field",
    ]);
    const vmClass = await world.platform.virtualMachineClasses.get("small");
    const v1alpha2 = convertToVersion(vmClass, "virtualization.deckhouse.io/v1alpha2");
    expect(v1alpha2).toMatchObject({
      apiVersion: "virtualization.deckhouse.io/v1alpha2",
      spec: { sizingPolicies: [{ coreFractions: [5, 100], defaultCoreFraction: 5 }] },
    });
    const [again] = await world.platform.apply([v1alpha2]);
    expect(again?.operation).toBe("unchanged");
    expect(() => convertToVersion(vmClass, "virtualization.deckhouse.io/v1")).toThrow(
      'VirtualMachineClass "small" has no version virtualization.deckhouse.io/v1: use virtualization.deckhouse.io/v1alpha3 or virtualization.deckhouse.io/v1alpha2',
    );
  });
});
