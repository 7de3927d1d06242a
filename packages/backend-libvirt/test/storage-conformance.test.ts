import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type LibvirtStorageClass, libvirtBackend } from "@polyvisor/backend-libvirt";
import { startLab } from "@polyvisor/backend-libvirt/lab";
import { type StorageFixture, storageSuite } from "@polyvisor/core/conformance";
import { describeConformance } from "@polyvisor/core/conformance/vitest";
import { run } from "./support/lab-host.ts";

const timeout = 120_000;

async function openStorage(
  classOf: (sharedDirectory: string) => LibvirtStorageClass,
): Promise<StorageFixture> {
  const lab = await startLab();
  const [first, second] = lab.hosts;
  if (!first || !second) throw new Error("the lab has too few hosts");
  const storageClass = classOf(lab.sharedDirectory);
  const { storage } = libvirtBackend({
    hosts: Object.fromEntries(lab.hosts.map(({ name, uri }) => [name, uri])),
    storageClasses: [storageClass],
  });
  await storage.open(AbortSignal.timeout(30_000));
  return {
    storage,
    host: first.name,
    ...(storageClass.pool.type === "directory" && { otherHost: second.name }),
    async read(name, source) {
      if (source.type !== "file") throw new Error(`not a file: ${source.type}`);
      // As a guest sees it, whatever the format is.
      const copy = join(first.directory, `${name}.raw`);
      const from = ["-f", source.format, "-O", "raw", source.path, copy];
      await run(first, "qemu-img", "convert", ...from);
      return readFile(copy);
    },
    async [Symbol.asyncDispose]() {
      await storage[Symbol.asyncDispose]();
      await lab[Symbol.asyncDispose]();
    },
  };
}

const own = { name: "local", pool: { type: "own" }, isDefault: true } as const;
const shared = (path: string): LibvirtStorageClass => ({
  name: "shared",
  pool: { type: "directory", path, shared: true },
});

describeConformance("pools of the hosts", storageSuite, () => openStorage(() => own), { timeout });
describeConformance("a shared folder", storageSuite, () => openStorage(shared), { timeout });
