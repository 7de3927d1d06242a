import { describe, expect, it } from "vitest";
import { blankDisk } from "../support/manifests.ts";
import { World } from "../support/world.ts";

const CLASS = `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineClass
metadata: { name: fast }
spec: { cpu: { type: Host } }
`;
const DISK = `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata:
  name: data
  labels: { tier: gold }
spec:
  persistentVolumeClaim: { size: 10Gi }
`;

async function operations(world: World, manifests: string | object[]): Promise<string[]> {
  const applied = await world.platform.apply(manifests);
  return applied.map(({ resource, operation }) => `${resource.metadata.name} ${operation}`);
}

describe("apply", () => {
  it("creates, leaves alone and configures, document by document", async () => {
    await using world = await World.open();
    const all = `---\n${CLASS}---\n---\n# nothing but a comment\n---\n${DISK}---\n`;
    expect(await operations(world, all)).toEqual(["fast created", "data created"]);
    await world.untilPhase("VirtualDisk", "data", "Ready");
    expect(await operations(world, all)).toEqual(["fast unchanged", "data unchanged"]);
    const changed = all.replace("gold", "silver");
    expect(await operations(world, changed)).toEqual(["fast unchanged", "data configured"]);
    expect((await world.platform.virtualDisks.get("data")).metadata.labels).toEqual({
      tier: "silver",
    });
  });

  it("merges labels and annotations with those that are there", async () => {
    await using world = await World.open();
    await operations(world, DISK);
    const more = DISK.replace("{ tier: gold }", "{ zone: a }\n  annotations: { note: hello }");
    expect(await operations(world, more)).toEqual(["data configured"]);
    const { metadata } = await world.platform.virtualDisks.get("data");
    expect(metadata.labels).toEqual({ tier: "gold", zone: "a" });
    expect(metadata.annotations).toEqual({ note: "hello" });
  });

  it("takes lists apart, also nested ones, and objects as they are", async () => {
    await using world = await World.open();
    const list = {
      apiVersion: "v1",
      kind: "List",
      items: [blankDisk("a"), { apiVersion: "v1", kind: "List", items: [blankDisk("b")] }],
    };
    expect(await operations(world, JSON.stringify(list))).toEqual(["a created", "b created"]);
    expect(await operations(world, [blankDisk("a"), blankDisk("c")])).toEqual([
      "a unchanged",
      "c created",
    ]);
  });

  it("gives a generated name to each copy", async () => {
    await using world = await World.open();
    const generated = { ...blankDisk("x"), metadata: { generateName: "data-" } };
    const names = await operations(world, [generated, generated]);
    expect(new Set(names).size).toBe(2);
    for (const name of names)
      expect(name).toMatch(/^data-[bcdfghjklmnpqrstvwxz2456789]{5} created$/);
  });

  it("takes other versions of a kind, and writes the one that it stores", async () => {
    await using world = await World.open();
    const [applied] = await world.platform.apply(CLASS.replace("v1alpha2", "v1alpha3"));
    expect(applied?.resource.apiVersion).toBe("virtualization.deckhouse.io/v1alpha3");
    expect(await operations(world, CLASS)).toEqual(["fast unchanged"]);
  });

  it("ignores a status that a user sends", async () => {
    await using world = await World.open();
    const status = { phase: "Ready", capacity: "1Ti" };
    const [applied] = await world.platform.apply([{ ...blankDisk("a"), status }]);
    expect(applied?.resource.status).toBeUndefined();
  });

  it("keeps secrets in base64, whichever way they were written", async () => {
    await using world = await World.open();
    const secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: "s" },
      data: { a: "YQ==" },
      stringData: { b: "б" },
    };
    expect(await operations(world, [secret])).toEqual(["s created"]);
    expect(await operations(world, [secret])).toEqual(["s unchanged"]);
    expect(await world.platform.secrets.get("s")).toMatchObject({
      type: "Opaque",
      data: { a: "YQ==", b: "0LE=" },
    });
  });
});
