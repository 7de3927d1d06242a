import { describe, expect, it } from "vitest";
import { blankDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

const GOOD = JSON.stringify(blankDisk("good"));

function document(spec: string, head = "apiVersion: virtualization.deckhouse.io/v1alpha2"): string {
  return `${head}\nkind: VirtualMachine\nmetadata: { name: linux }\nspec: ${spec}`;
}

function machine(more: Record<string, unknown> = {}): string {
  return document(
    JSON.stringify({
      virtualMachineClassName: "host",
      cpu: { cores: 1 },
      memory: { size: "1Gi" },
      blockDeviceRefs: [{ kind: "VirtualDisk", name: "root" }],
      ...more,
    }),
  );
}

/** Each wrong text, and everything that the message must say. */
const WRONG: Readonly<Record<string, readonly [string, ...(string | RegExp)[]]>> = {
  "an unknown field": [
    machine({ cpu: { cores: 1, sockets: 2 } }),
    'VirtualMachine "linux" is invalid: spec.cpu.sockets: unknown field',
  ],
  "an unknown field at the top": [
    `${GOOD.slice(0, -1)},"sepc":{}}`,
    'VirtualDisk "good" is invalid: sepc: unknown field',
  ],
  "an unknown field of metadata": [
    `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","label":{}}}`,
    'Secret "s" is invalid: metadata.label: unknown field',
  ],
  "a wrong type": [
    machine({ cpu: { cores: "two" } }),
    'VirtualMachine "linux" is invalid: spec.cpu.cores: ',
    /expected number, received string/,
  ],
  "a wrong item": [
    machine({
      blockDeviceRefs: [
        { kind: "VirtualDisk", name: "a" },
        { kind: "Floppy", name: "b" },
      ],
    }),
    'VirtualMachine "linux" is invalid: spec.blockDeviceRefs[1].kind: Invalid option: expected one of "VirtualDisk"|"VirtualImage"|"ClusterVirtualImage"',
  ],
  "a quantity that is none": [
    machine({ memory: { size: "1 GB" } }),
    'VirtualMachine "linux" is invalid: spec.memory.size: must be a quantity such as "10Gi"',
  ],
  "a quantity without a value": [
    machine({ memory: { size: "1e3.5" } }),
    'spec.memory.size: must be a quantity such as "10Gi"',
  ],
  "a quantity of a wrong type": [
    machine({ memory: { size: true } }),
    'spec.memory.size: must be a quantity such as "10Gi"',
  ],
  "missing fields, all of them": [
    document("{ cpu: {}, memory: {} }"),
    'VirtualMachine "linux" is invalid: ',
    "spec.cpu.cores: is missing (number)",
    "spec.memory.size: is missing (quantity)",
    "spec.blockDeviceRefs: is missing (array)",
  ],
  "no spec": [
    "apiVersion: virtualization.deckhouse.io/v1alpha2\nkind: VirtualMachine\nmetadata: { name: linux }",
    'VirtualMachine "linux" is invalid: spec: is missing (object)',
  ],
  "no name": [
    "apiVersion: v1\nkind: Secret\nmetadata: {}",
    'Secret "(no name)" is invalid: metadata.name: is missing',
  ],
  "a wrong name": [
    "apiVersion: v1\nkind: Secret\nmetadata: { name: Upper_Case }",
    `Secret "Upper_Case" is invalid: metadata.name: must consist of lower-case letters, digits, '-' and '.'`,
  ],
  "an unknown kind": [
    "apiVersion: v1\nkind: Pod\nmetadata: { name: p }",
    'manifest 2: kind: "Pod" is not known: use one of ClusterVirtualImage, Event, ModuleConfig, ',
  ],
  "a kind in other letters": [
    "apiVersion: v1\nkind: secret\nmetadata: { name: p }",
    'manifest 2: kind: "secret" is not known: use one of ',
  ],
  "no kind": ["apiVersion: v1\nmetadata: { name: p }", "manifest 2: kind: is missing: use one of "],
  "no apiVersion": [
    "kind: Secret\nmetadata: { name: s }",
    "manifest 2: apiVersion: is missing: write v1",
  ],
  "a wrong apiVersion": [
    document("{}", "apiVersion: virtualization.deckhouse.io/v1"),
    'VirtualMachine "linux" is invalid: apiVersion: must be "virtualization.deckhouse.io/v1alpha2"',
  ],
  "duplicate keys": [
    "apiVersion: v1\nkind: Secret\nkind: Secret\nmetadata: { name: s }",
    "The YAML cannot be read: Map keys must be unique at line ",
  ],
  "text that is no YAML": ["a: [1,\nb: }", "The YAML cannot be read: ", / at line \d+/],
  "an alias": [
    "apiVersion: v1\nkind: Secret\nmetadata: { name: &n s }\ntype: *n",
    "The YAML cannot be read: document 2: anchors and aliases are not allowed: write the value out",
  ],
  "a merge key": [
    "base: &b { name: s }\nmetadata: { <<: *b }",
    "document 2: anchors and aliases are not allowed",
  ],
  "a tag": [
    "apiVersion: v1\nkind: Secret\nmetadata: { name: !env NAME }",
    "The YAML cannot be read: Unresolved tag: !env at line ",
  ],
  "a document that is no object": [
    "just text",
    'The YAML cannot be read: document 2 is no object: a manifest starts with "apiVersion:"',
  ],
  "a list that is none": [
    "kind: List\nitems: { a: 1 }",
    "The YAML cannot be read: List: items must be a list of manifests",
  ],
  "a text that is too long": [
    `# ${"x".repeat(4 * 2 ** 20)}`,
    /^The YAML cannot be read: the text has 4194\d+ characters, and 4194304 are allowed: split it$/,
  ],
};

describe("apply refuses", () => {
  it.each(Object.keys(WRONG))("%s, and then writes nothing", async (what) => {
    await using world = await World.open();
    const [text = "", ...expected] = WRONG[what] ?? [];
    const error = await world.platform.apply(`${GOOD}\n---\n${text}`).then(
      () => expect.fail("it was taken"),
      (reason: unknown) => reason as Error & { code: string },
    );
    expect(error.code).toBe("POLYVISOR_INVALID");
    for (const part of expected) {
      if (typeof part === "string") expect(error.message).toContain(part);
      else expect(error.message).toMatch(part);
    }
    expect((await world.platform.virtualDisks.list()).items).toEqual([]);
    expect((await world.platform.secrets.list()).items).toEqual([]);
  });

  it("what is no object, by its position", async () => {
    await using world = await World.open();
    const manifests = [blankDisk("good"), "text" as unknown as object];
    await expect(world.platform.apply(manifests)).rejects.toThrow("manifest 2 is no object");
    expect((await world.platform.virtualDisks.list()).items).toEqual([]);
  });
});
