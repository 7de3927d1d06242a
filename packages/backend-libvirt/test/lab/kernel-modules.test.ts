import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { loadOrder, moduleDependencies, readKernelModules } from "../../src/lab/kernel-modules.ts";

const moduleFile = (depends: string): Buffer =>
  Buffer.from(`\x7fELF...\0license=GPL\0depends=${depends}\0retpoline=Y\0`, "latin1");

test("dependencies come out of the module's own description", () => {
  expect(moduleDependencies(moduleFile("virtio-ring,virtio"))).toEqual(["virtio_ring", "virtio"]);
  expect(moduleDependencies(moduleFile(""))).toEqual([]);
});

test("every module comes after what it depends on, once", () => {
  const graph = fc.array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(graph, (edges) => {
      // An edge to an earlier number only, so that there is no circle.
      const entries = edges.map((targets, node): [string, string[]] => [
        String(node),
        node === 0 ? [] : targets.map((target) => String(target % node)),
      ]);
      const order = loadOrder(entries.map(([name]) => name).reverse(), new Map(entries));
      expect([...order].sort()).toEqual(entries.map(([name]) => name).sort());
      for (const [name, targets] of entries) {
        for (const target of targets)
          expect(order.indexOf(target)).toBeLessThan(order.indexOf(name));
      }
    }),
  );
});

test("a circle and a missing module are errors", async () => {
  const circle = new Map([
    ["a", ["b"]],
    ["b", ["a"]],
  ]);
  expect(() => loadOrder(["a"], circle)).toThrow(/circle: a, b, a/);
  const folder = await mkdtemp(join(tmpdir(), "polyvisor-test-"));
  try {
    await mkdir(join(folder, "drivers"));
    await writeFile(join(folder, "drivers/virtio-rng.ko"), moduleFile("virtio"));
    await expect(readKernelModules(folder, ["virtio_rng"])).rejects.toMatchObject({
      code: "LAB_IMAGE_FAILED",
      message: expect.stringContaining("virtio.ko"),
    });
    await writeFile(join(folder, "virtio.ko"), moduleFile(""));
    const modules = await readKernelModules(folder, ["virtio_rng", "virtio"]);
    expect(modules.map(({ fileName }) => fileName)).toEqual(["virtio.ko", "virtio-rng.ko"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
