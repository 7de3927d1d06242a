import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openOciImage } from "../src/index.ts";
import { collectBytes } from "./support/collect.ts";
import {
  pushImage,
  REGISTRY_PASSWORD,
  REGISTRY_USER,
  startRegistry,
} from "./support/docker-registry.ts";
import { noise } from "./support/made-images.ts";
import { digestOf, ociImage, ociIndex } from "./support/oci-image.ts";
import { runTool } from "./support/run-tool.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const disk = noise(3_000_000);

const secretFor = (host: string): string => {
  const auth = Buffer.from(`${REGISTRY_USER}:${REGISTRY_PASSWORD}`).toString("base64");
  return JSON.stringify({ auths: { [host]: { auth } } });
};

test("a disk is pulled from the registry of Debian", { timeout: 120_000 }, async () => {
  await using directory = await temporaryDirectory();
  await using registry = await startRegistry({ directory: directory.path });
  const pullSecret = secretFor(registry.host);
  const below = [{ name: "disk/old.img", content: noise(50_000, 3) }];
  for (const compression of ["", "+gzip", "+zstd"] as const) {
    const image = await ociImage(
      [below, [{ name: "disk/.wh.old.img" }, { name: "./disk/disk.img", content: disk }]],
      compression,
    );
    const tag = `v1${compression.replace("+", "-")}`;
    await pushImage(registry, "team/disk", tag, image);
    await using opened = await openOciImage(`${registry.host}/team/disk:${tag}`, { pullSecret });
    expect((await collectBytes(opened)).equals(disk)).toBe(true);
  }

  const index = ociIndex({
    arm64: await ociImage([[{ name: "disk/x", content: noise(10, 4) }]]),
    amd64: await ociImage([[{ name: "disk/x", content: disk }]]),
  });
  await pushImage(registry, "team/disk", "all", index);
  const byDigest = `${registry.host}/team/disk@${digestOf(index.manifest)}`;
  for (const reference of [`${registry.host}/team/disk:all`, byDigest]) {
    await using opened = await openOciImage(reference, { pullSecret });
    expect((await collectBytes(opened)).equals(disk)).toBe(true);
  }

  const reference = `${registry.host}/team/disk:all`;
  await expect(openOciImage(reference)).rejects.toMatchObject({ code: "IMAGE_SOURCE_STATUS" });
  await expect(
    openOciImage(`${registry.host}/team/disk:none`, { pullSecret }),
  ).rejects.toMatchObject({ code: "IMAGE_SOURCE_STATUS" });
});

test("over TLS only with the authority's certificate", { timeout: 120_000 }, async () => {
  await using directory = await temporaryDirectory();
  const key = join(directory.path, "key.pem");
  const cert = join(directory.path, "cert.pem");
  const request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
  const subject = "-subj /CN=localhost -addext subjectAltName=DNS:localhost";
  await runTool("openssl", ...`${request} ${subject} -keyout ${key} -out ${cert}`.split(" "));
  const image = await ociImage([[{ name: "disk/x", content: disk }]]);
  {
    await using plain = await startRegistry({ directory: directory.path });
    await pushImage(plain, "team/disk", "latest", image);
  }
  await using registry = await startRegistry({ directory: directory.path, tls: { key, cert } });
  const options = { pullSecret: secretFor(registry.host), plainHttp: false };
  const reference = `${registry.host}/team/disk`;
  await expect(openOciImage(reference, options)).rejects.toMatchObject({
    code: "IMAGE_SOURCE_UNTRUSTED",
  });
  const caBundle = await readFile(cert, "utf8");
  await using opened = await openOciImage(reference, { ...options, caBundle });
  expect((await collectBytes(opened)).equals(disk)).toBe(true);
});
