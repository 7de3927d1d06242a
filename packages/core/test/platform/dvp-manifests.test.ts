import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { put, whileThereAreGaps } from "../support/refusal.ts";
import { vm } from "../support/manifests.ts";
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
    (error: Error) => whileThereAreGaps(error.message),
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
