import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  loadOrder,
  moduleDependencies,
  modulesDependencyFile,
  readKernelModules,
  withoutSignature,
} from "../../src/lab/kernel-modules.ts";

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
    expect(modulesDependencyFile(modules)).toBe("virtio.ko:\nvirtio-rng.ko: virtio.ko\n");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("what must be loaded first stands last in modules.dep", () => {
  const bytes = new Uint8Array();
  const net = { fileName: "net.ko", bytes, dependencies: ["virtio.ko", "failover.ko"] };
  expect(modulesDependencyFile([net])).toBe("net.ko: failover.ko virtio.ko\n");
});

const MARKER = "~Module signature appended~\n";
function signature(bytes: number): Buffer {
  const information = Buffer.alloc(12);
  information.writeUInt32BE(bytes, 8);
  return Buffer.concat([information, Buffer.from(MARKER)]);
}

test("a signature is taken off whole, whatever it and the module are", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (body, signed) => {
      const module = Buffer.concat([body, signed, signature(signed.length)]);
      expect(Buffer.from(withoutSignature(module))).toEqual(Buffer.from(body));
    }),
  );
});

test("a module without a signature, or with a damaged one, stays as it is", () => {
  const plain = moduleFile("virtio");
  expect(withoutSignature(plain)).toEqual(plain);
  expect(withoutSignature(new Uint8Array())).toEqual(new Uint8Array());
  expect(withoutSignature(Buffer.from(MARKER))).toEqual(Buffer.from(MARKER));
  const tooLong = Buffer.concat([plain, signature(plain.length + 1)]);
  expect(withoutSignature(tooLong)).toEqual(tooLong);
});
