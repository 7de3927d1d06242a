import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createPlatform, type ImageStore, type Platform } from "@polyvisor/core";
import { FakeHypervisor, FakeStorage } from "@polyvisor/core/testing";
import { directoryImageStore } from "@polyvisor/image-tools";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const apiVersion = "virtualization.deckhouse.io/v1alpha2";
const timeout = 120_000;

let directory: string;
let server: Server;
let respond: RequestListener;
let platform: Platform;
let storage: FakeStorage;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "pv-sources-"));
  server = createServer((request, response) => respond(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  storage = new FakeStorage();
  // The port and what image-tools gives are made for each other without knowing of each other.
  const imageStore: ImageStore = directoryImageStore({
    path: join(directory, "store"),
    stallTimeoutMs: 300,
  });
  platform = await createPlatform({
    backends: [{ hypervisor: new FakeHypervisor(), storage }],
    imageStore,
  });
});
afterEach(async () => {
  await platform[Symbol.asyncDispose]();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true, force: true });
});

function url(): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/disk.qcow2`;
}

async function diskImage(format: readonly string[] = ["qcow2"]): Promise<Buffer> {
  const path = join(directory, "disk.image");
  const raw = join(directory, "disk.raw");
  await promisify(execFile)("qemu-img", ["create", "-q", "-f", "raw", raw, "4M"]);
  await promisify(execFile)("qemu-io", ["-f", "raw", "-c", "write -P 7 1M 2M", raw]);
  await promisify(execFile)("qemu-img", ["convert", "-O", ...format, raw, path]);
  return readFile(path);
}

async function applyImage(http: object): Promise<void> {
  const dataSource = { type: "HTTP", http: { url: url(), ...http } };
  await platform.apply([
    { apiVersion, kind: "VirtualImage", metadata: { name: "image" }, spec: { dataSource } },
  ]);
}

const truncated: RequestListener = (_, response) => {
  void diskImage().then((bytes) => response.end(bytes.subarray(0, bytes.length - 1_000_000)));
};
const stalled: RequestListener = (_, response) => {
  response.writeHead(200, { "content-length": 1_000_000 });
  response.write("QFI\u00fb");
};
const status =
  (code: number): RequestListener =>
  (_, response) => {
    response.writeHead(code).end("<html>no</html>");
  };

const failures: readonly [what: string, respond: RequestListener, http: object, message: RegExp][] =
  [
    ["an answer of 404", status(404), {}, /404/],
    ["a server that stalls", stalled, {}, /stall|sent nothing|no data/i],
    [
      "a wrong checksum",
      (_, response) => void diskImage().then((bytes) => response.end(bytes)),
      { checksum: { sha256: "0".repeat(64) } },
      /sha256/i,
    ],
    [
      "a file that is no image",
      (_, response) => void response.end("hello, this is text\n".repeat(100)),
      {},
      /not|no /,
    ],
    [
      "a web page",
      (_, response) => void response.end("<!DOCTYPE html><html></html>"),
      {},
      /HTML|web page|not an image/i,
    ],
    ["a qcow2 that is cut short", truncated, {}, /short|trunc|beyond|end of the file/i],
  ];

describe("an image from a server", () => {
  it.each(failures)(
    "with %s fails, says so with the field, and leaves nothing",
    async (_, answer, http, message) => {
      respond = answer;
      await applyImage(http);
      const failing = platform.virtualImages.waitFor(
        "image",
        { phase: "Ready" },
        { timeout: 60_000 },
      );
      await expect(failing).rejects.toMatchObject({ code: "POLYVISOR_FAILED" });
      const { status: reported } = await platform.virtualImages.get("image");
      const ready = reported?.conditions.find(({ type }) => type === "Ready");
      expect(ready).toMatchObject({ status: "False", reason: "ProvisioningFailed" });
      expect(ready?.message).toMatch(/^spec\.dataSource\.http: /);
      expect(ready?.message).toMatch(message);
      expect(await readdir(join(directory, "store"))).toEqual([]);
      await platform.virtualImages.delete("image");
      await platform.virtualImages.waitFor("image", { deleted: true }, { timeout: 10_000 });
    },
    timeout,
  );

  it(
    "becomes Ready when the source is corrected",
    async () => {
      respond = status(404);
      await applyImage({});
      await platform.virtualImages.waitFor("image", { phase: "Failed" }, { timeout: 10_000 });
      const bytes = await diskImage();
      respond = (_, response) => void response.end(bytes);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      await applyImage({ checksum: { sha256 } });
      const image = await platform.virtualImages.waitFor(
        "image",
        { phase: "Ready" },
        { timeout: 10_000 },
      );
      expect(image.status).toMatchObject({
        format: "qcow2",
        cdrom: false,
        progress: "100%",
        size: { unpackedBytes: String(4 * 2 ** 20), storedBytes: String(bytes.length) },
      });
    },
    timeout,
  );

  it.each([
    ["vmdk", ["vmdk", "-o", "subformat=streamOptimized"]],
    ["vdi", ["vdi"]],
    ["vhdx", ["vhdx"]],
  ])(
    "of format %s becomes Ready",
    async (format, options) => {
      const bytes = await diskImage(options);
      respond = (_, response) => void response.end(bytes);
      await applyImage({});
      const ready = { phase: "Ready" };
      const image = await platform.virtualImages.waitFor("image", ready, { timeout: 10_000 });
      expect(image.status).toMatchObject({ format, size: { unpacked: "4Mi" } });
    },
    timeout,
  );

  it(
    "fills a disk with its content, holes left out, and one of its own just so",
    async () => {
      const bytes = await diskImage();
      respond = (_, response) => void response.end(bytes);
      await applyImage({});
      const http = { url: url() };
      await platform.apply([
        {
          apiVersion,
          kind: "VirtualDisk",
          metadata: { name: "of-image" },
          spec: {
            dataSource: { type: "ObjectRef", objectRef: { kind: "VirtualImage", name: "image" } },
          },
        },
        {
          apiVersion,
          kind: "VirtualDisk",
          metadata: { name: "of-url" },
          spec: { dataSource: { type: "HTTP", http }, persistentVolumeClaim: { size: "8Mi" } },
        },
      ]);
      for (const [name, capacity] of [
        ["of-image", "4Mi"],
        ["of-url", "8Mi"],
      ] as const) {
        const disk = await platform.virtualDisks.waitFor(
          name,
          { phase: "Ready" },
          { timeout: 20_000 },
        );
        expect(disk.status?.capacity).toBe(capacity);
        const written = storage.written(`vd-${disk.metadata.uid}`);
        expect(written.reduce((total, extent) => total + extent.bytes.length, 0)).toBe(2 * 2 ** 20);
        expect(written[0]?.offset).toBe(2 ** 20);
        expect(written.every((extent) => extent.bytes.every((byte) => byte === 7))).toBe(true);
      }
      // The image of the disk's own is gone again; the other one is kept.
      const image = await platform.virtualImages.get("image");
      expect(await readdir(join(directory, "store"))).toEqual([`vi-${image.metadata.uid}`]);
    },
    timeout,
  );
});
