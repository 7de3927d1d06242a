import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { convertImage, fromStream, openFileReader, openOva, writeOvf } from "../src/index.ts";
import { makeTar } from "./support/made-ova.ts";
import { makeQcow2, rawDisk } from "./support/made-images.ts";
import { runTool } from "./support/run-tool.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const STREAM_OPTIMIZED =
  "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized";

test.each(["1", "2"] as const)(
  "a disk and a descriptor of version %s make a package that others read",
  { timeout: 60_000 },
  async (version) => {
    await using directory = await temporaryDirectory();
    const disk = rawDisk(5 * 1024 * 1024);
    const source = await makeQcow2(directory.path, disk, "-c");
    const vmdk = join(directory.path, "disk1.vmdk");
    const { virtualSizeBytes, storedBytes } = await convertImage({
      source,
      target: vmdk,
      to: "vmdk",
    });
    const descriptor = Buffer.from(
      writeOvf(
        {
          files: [{ id: "file1", href: "disk1.vmdk", sizeBytes: storedBytes }],
          disks: [
            {
              id: "disk1",
              fileId: "file1",
              capacityBytes: virtualSizeBytes,
              format: STREAM_OPTIMIZED,
            },
          ],
          networks: [],
          systems: [
            {
              id: "vm",
              cpus: 1,
              memoryBytes: 2 ** 30,
              controllers: [{ id: "3", kind: "scsi", model: "lsilogic" }],
              drives: [{ id: "4", kind: "disk", diskId: "disk1", controllerId: "3", address: 0 }],
              networkAdapters: [],
            },
          ],
        },
        { version },
      ),
    );
    const content = await readFile(vmdk);
    const sum = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
    const manifest = `SHA256(vm.ovf)= ${sum(descriptor)}\nSHA256(disk1.vmdk)= ${sum(content)}\n`;
    const ova = join(directory.path, "vm.ova");
    await writeFile(
      ova,
      await makeTar(
        ["vm.ovf", descriptor],
        ["vm.mf", Buffer.from(manifest)],
        ["disk1.vmdk", content],
      ),
    );

    await using opened = await openOva(await openFileReader(ova));
    expect(opened.disks).toEqual([expect.objectContaining({ capacityBytes: disk.length })]);
    expect(opened.description).toMatchObject({ version, warnings: [] });
    await opened.verify();
    const target = join(directory.path, "target.raw");
    for (const input of [ova, fromStream(createReadStream(ova))]) {
      const converted = await convertImage({ source: input, target, to: "raw" });
      expect(converted.source).toEqual({ format: "vmdk", wrappers: ["ova"] });
      expect((await readFile(target)).equals(disk)).toBe(true);
    }

    const unpacked = join(directory.path, "unpacked");
    await mkdir(unpacked);
    await runTool("tar", "-xf", ova, "-C", unpacked);
    const member = join(unpacked, "disk1.vmdk");
    const raw = join(directory.path, "source.raw");
    await runTool("qemu-img", "compare", "-q", "-f", "vmdk", "-F", "raw", member, raw);
  },
);
