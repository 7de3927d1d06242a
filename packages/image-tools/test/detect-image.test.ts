import { expect, test } from "vitest";
import { createIso9660, detectImage, type ImageErrorCode } from "../src/index.ts";
import { noise, rawDisk } from "./support/made-images.ts";

const HEAD_BYTES = 68 * 1024;

function sample(...patches: readonly (readonly [offset: number, bytes: string])[]): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  for (const [offset, bytes] of patches) head.write(bytes, offset, "latin1");
  return head;
}

function codeOf(head: Uint8Array, tail?: Uint8Array): { code: ImageErrorCode; message: string } {
  try {
    detectImage(head, tail);
  } catch (error) {
    return error as { code: ImageErrorCode; message: string };
  }
  throw new Error("nothing was thrown");
}

const qcow2: readonly [number, string] = [0, "QFI\xfb\0\0\0\x03"];
const iso: readonly [number, string] = [32769, "CD001"];

test.each([
  ["ext file system", sample([1024, "\x10"], [1080, "\x53\xef"])],
  ["GPT with 512-byte sectors", sample([510, "\x55\xaa"], [512, "EFI PART"])],
  ["GPT with 4096-byte sectors", sample([4096, "EFI PART"])],
  ["XFS", sample([0, "XFSB"])],
  ["btrfs", sample([65600, "_BHRfS_M"])],
  ["LVM physical volume", sample([512, "LABELONE"])],
  ["FAT", sample([0, "\xeb\x3c\x90MSDOS5.0\0\x02\x04"], [510, "\x55\xaa"])],
  ["a boot sector without partitions", sample([510, "\x55\xaa"])],
  ["partitioned disk", rawDisk()],
])("recognises a raw disk: %s", (_name, head) => {
  const image = { kind: "image", format: "raw", cdrom: false, warnings: [] };
  expect(detectImage(head)).toEqual(image);
});

test.each([
  ["ISO 9660", sample(iso)],
  ["UDF bridge", sample(iso, [34817, "BEA01"], [36865, "NSR02"])],
  ["UDF only", sample([32769, "BEA01"], [34817, "NSR03"])],
  ["hybrid with MBR", sample(iso, [450, "\x83"], [510, "\x55\xaa"])],
  ["hybrid with GPT", sample(iso, [510, "\x55\xaa"], [512, "EFI PART"])],
  ["written by this package", createIso9660({ volumeId: "cidata", files: [] })],
])("recognises a disc: %s", (_name, head) => {
  expect(detectImage(head)).toEqual({ kind: "image", format: "iso", cdrom: true, warnings: [] });
});

test.each([
  ["qcow2", sample(qcow2)],
  ["vmdk", sample([0, "KDMV\x01"])],
  ["vmdk", sample([0, "COWD\x01"])],
  ["vmdk", sample([0, "\xbe\xba\xfe\xca\0\0\0\0"])],
  ["vmdk", Buffer.from("# Disk DescriptorFile\r\nversion=1\r\nCID=1\r\n")],
  ["vmdk", Buffer.concat([Buffer.from("#\n  \nversion=3\n"), Buffer.alloc(HEAD_BYTES)])],
  ["vdi", sample([0, "<<< any text >>>"], [0x40, "\x7f\x10\xda\xbe"])],
  ["vhd", sample([0, "conectix"])],
  ["vhdx", sample([0, "vhdxfile"])],
])("recognises the disk format %s", (format, head) => {
  expect(detectImage(head)).toEqual({ kind: "image", format, cdrom: false, warnings: [] });
});

test.each([
  ["gz", sample([0, "\x1f\x8b\x08"])],
  ["xz", sample([0, "\xfd7zXZ\0"])],
  ["zst", sample([0, "\x28\xb5\x2f\xfd"])],
  ["zst", sample([0, "\x50\x2a\x4d\x18\x04\0\0\0"])],
  ["bz2", sample([0, "BZh91AY&SY"])],
  ["bz2", sample([0, "BZh9\x17rE8P\x90"])],
])("recognises the wrapper %s", (wrapper, head) => {
  expect(detectImage(head)).toEqual({ kind: "wrapper", wrapper });
});

test("recognises tar by its checksum", () => {
  const head = sample([0, "disk.ovf"], [257, "ustar"], [148, "        "]);
  const sum = head.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  expect(detectImage(head)).toEqual({ kind: "archive", archive: "tar" });
});

test.each([
  ["only zeros", Buffer.alloc(HEAD_BYTES)],
  ["unknown binary data", noise(HEAD_BYTES)],
  ["unknown binary data", noise(700)],
])("presumes a raw disk of %s, with a warning", (description, head) => {
  expect(detectImage(head)).toMatchObject({
    format: "raw",
    warnings: [expect.stringContaining(description)],
  });
});

test.each([1, 2])("refuses a disk encrypted with LUKS %i", (version) => {
  const error = codeOf(sample([0, `LUKS\xba\xbe\0${String.fromCharCode(version)}`]));
  expect(error.code).toBe("IMAGE_UNSAFE");
  expect(error.message).toContain("encrypted");
});

test("compressed data that happens to hold 55 AA is still compressed data", () => {
  const head = noise(HEAD_BYTES);
  head.write("\x1f\x8b\x08", 0, "latin1");
  head.write("\x55\xaa", 510, "latin1");
  expect(detectImage(head)).toEqual({ kind: "wrapper", wrapper: "gz" });
});

test.each([
  ["qed", sample([0, "QED\0"])],
  ["qcow", sample([0, "QFI\xfb\0\0\0\x01"])],
  ["parallels", sample([0, "WithoutFreeSpace"])],
  ["zip", sample([0, "PK\x03\x04"])],
  ["7z", sample([0, "7z\xbc\xaf\x27\x1c"])],
  ["lz4", sample([0, "\x04\x22\x4d\x18"])],
  ["cloop", sample([0, "#!/bin/sh\n#V2.0"])],
  ["bochs", sample([0, "Bochs Virtual HD Image"])],
  ["asif", sample([0, "shdw"])],
  ["lzma", sample([0, "\x5d\0\0"])],
])("names the unsupported format %s", (format, head) => {
  const error = codeOf(head);
  expect(error.code).toBe("IMAGE_UNSUPPORTED");
  expect(error.message).toContain(format);
});

test("a fixed VHD and a dmg are told by their last 512 bytes", () => {
  const vhd = sample([HEAD_BYTES - 512, "conectix"]);
  rawDisk().copy(vhd, 0, 0, 512);
  expect(detectImage(vhd, vhd.subarray(-1536))).toMatchObject({ format: "vhd" });
  const dmg = sample([HEAD_BYTES - 512, "koly"]);
  expect(codeOf(dmg, dmg.subarray(-1536)).message).toContain("dmg");
});

test.each([
  ["qcow2 with a partition table", sample(qcow2, [450, "\x83"], [510, "\x55\xaa"])],
  ["qcow2 with a bare boot mark", sample(qcow2, [510, "\x55\xaa"])],
  ["qcow2 in the system area of a disc", sample(qcow2, iso)],
  ["qcow2 that is also VDI", sample(qcow2, [0x40, "\x7f\x10\xda\xbe"])],
  ["disc that is also gzip", sample(iso, [0, "\x1f\x8b\x08"])],
])("refuses several formats at once: %s", (_name, head) => {
  expect(codeOf(head).code).toBe("IMAGE_UNSAFE");
});

test("refuses qcow2 with a VHD footer once the end is known", () => {
  const head = sample(qcow2);
  const tail = Buffer.alloc(1536);
  tail.write("conectix", 1024);
  expect(codeOf(head, tail).code).toBe("IMAGE_UNSAFE");
});

test.each([
  ["an HTML page", Buffer.from("\n <!DOCTYPE html><html><body>Sign in</body></html>")],
  ["XML", Buffer.from("<?xml version='1.0'?><Error/>")],
  ["JSON", Buffer.from('{"error":"expired"}')],
  ["text", Buffer.from("404 not found\n")],
  ["empty", Buffer.alloc(0)],
  ["only zeros", Buffer.alloc(20 * 1024)],
  ["unknown binary data", noise(511)],
])("refuses what is no image: %s", (description, head) => {
  const error = codeOf(head);
  expect(error.code).toBe("IMAGE_UNRECOGNISED");
  expect(error.message).toContain(description);
});
