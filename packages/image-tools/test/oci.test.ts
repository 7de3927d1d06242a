import type { RequestListener } from "node:http";
import { describe, expect, test } from "vitest";
import { findCredentials } from "../src/oci/pull-secret.ts";
import { isLoopbackRegistry, parseOciReference } from "../src/oci/oci-reference.ts";
import {
  memoryReader,
  openArchiveDisk,
  openOciImage,
  openOciLayout,
  openSource,
  type OpenOciImageOptions,
} from "../src/index.ts";
import { collectBytes } from "./support/collect.ts";
import { CORPUS, corpusImage } from "./support/corpus.ts";
import { serveLoopback, type LoopbackServer } from "./support/loopback-server.ts";
import { noise } from "./support/made-images.ts";
import {
  digestOf,
  imageOfTars,
  layerTar,
  ociImage,
  ociIndex,
  serveImage,
  type LayerFile,
  type OciImage,
} from "./support/oci-image.ts";

const disk = noise(300_000);
const other = noise(1000, 2);
const diskFile: LayerFile = { name: "disk/disk.img", content: disk };

const referenceTo = (server: LoopbackServer, version = ":latest"): string =>
  `${new URL(server.origin).host}/repo/image${version}`;

async function pull(
  image: OciImage | RequestListener,
  options: OpenOciImageOptions = {},
  version?: string,
): Promise<Buffer> {
  const listener = typeof image === "function" ? image : serveImage(image);
  await using server = await serveLoopback(listener);
  await using opened = await openOciImage(referenceTo(server, version), options);
  const bytes = await collectBytes(opened);
  expect(bytes).toHaveLength(opened.sizeBytes);
  return bytes;
}

const pullCode = async (
  image: OciImage | RequestListener,
  options?: OpenOciImageOptions,
): Promise<unknown> =>
  pull(image, options).then(
    () => "no error",
    (error: unknown) => (error as { code?: unknown }).code,
  );

describe("the disk is found", () => {
  test.each(["", "+gzip", "+zstd"] as const)("in a layer of type tar%s", async (compression) => {
    expect((await pull(await ociImage([[diskFile]], compression))).equals(disk)).toBe(true);
  });

  test.each(["disk/x", "./disk/x", "/disk/x"])("as %s", async (name) => {
    const files = [
      { name: "disk/", type: "directory" as const },
      { name, content: disk },
    ];
    expect((await pull(await ociImage([files]))).equals(disk)).toBe(true);
  });

  test("below layers without it, which may hold links and devices elsewhere", async () => {
    const upper: LayerFile[] = [
      { name: "etc/link", type: "symlink", linkname: "/x" },
      { name: "dev/null", type: "character-device" },
      { name: "diskless/file", content: other },
    ];
    expect((await pull(await ociImage([[diskFile], upper, []]))).equals(disk)).toBe(true);
  });

  test("in the uppermost layer that has one; those below are not fetched", async () => {
    const image = await ociImage([[{ name: "disk/disk.img", content: other }], [diskFile]]);
    await using server = await serveLoopback(serveImage(image));
    await using opened = await openOciImage(referenceTo(server));
    expect(opened.fileName).toBe("disk.img");
    expect((await collectBytes(opened)).equals(disk)).toBe(true);
    const asked = server.requests.map(({ url }) => url?.split("/").at(-1));
    expect(asked).not.toContain(image.layers[0]);
  });

  test("beside a deleted one of another name", async () => {
    const image = await ociImage([
      [{ name: "disk/old", content: other }],
      [{ name: "disk/.wh.old" }],
      [diskFile],
    ]);
    expect((await pull(image)).equals(disk)).toBe(true);
  });

  test("for the platform, by tag and by digest of the index", async () => {
    const index = ociIndex({
      arm64: await ociImage([[{ name: "disk/x", content: other }]]),
      amd64: await ociImage([[diskFile]]),
    });
    expect((await pull(index)).equals(disk)).toBe(true);
    expect((await pull(index, { architecture: "arm64" })).equals(other)).toBe(true);
    expect((await pull(index, {}, `@${digestOf(index.manifest)}`)).equals(disk)).toBe(true);
    expect(await pullCode(index, { architecture: "s390x" })).toBe("IMAGE_NOT_FOUND");
  });
});

describe("refused:", () => {
  test.each<[string, readonly (readonly LayerFile[])[], string]>([
    ["no disk", [[{ name: "etc/disk/x", content: disk }]], "IMAGE_UNRECOGNISED"],
    ["a deleted disk", [[diskFile], [{ name: "disk/.wh.disk.img" }]], "IMAGE_UNRECOGNISED"],
    ["an emptied folder", [[diskFile], [{ name: "disk/.wh..wh..opq" }]], "IMAGE_UNRECOGNISED"],
    ["a deleted folder", [[diskFile], [{ name: ".wh.disk" }]], "IMAGE_UNRECOGNISED"],
    ["two disks", [[diskFile, { name: "disk/b", content: other }]], "IMAGE_UNSUPPORTED"],
    ["one disk twice", [[diskFile, { ...diskFile, content: other }]], "IMAGE_UNSUPPORTED"],
    [
      "a symbolic link",
      [[{ name: "disk/x", type: "symlink", linkname: "/etc/passwd" }]],
      "IMAGE_UNSAFE",
    ],
    ["a hard link", [[{ name: "disk/x", type: "link", linkname: "etc/shadow" }]], "IMAGE_UNSAFE"],
    ["a device", [[{ name: "disk/x", type: "block-device" }]], "IMAGE_UNSAFE"],
    [
      "a folder that is a link",
      [[{ name: "disk", type: "symlink", linkname: "/etc" }, diskFile]],
      "IMAGE_UNSAFE",
    ],
    ["a folder that is a file", [[{ name: "disk", content: other }]], "IMAGE_UNSAFE"],
    ["a name that leads outside", [[{ name: "disk/../../x", content: disk }]], "IMAGE_UNSAFE"],
  ])("%s", async (_name, layers, code) => {
    expect(await pullCode(await ociImage(layers))).toBe(code);
  });

  const oneLayer = async (): Promise<OciImage> => ociImage([[diskFile]], "");

  test.each<[string, (bytes: Buffer) => Buffer, string]>([
    ["changed content", (bytes) => flip(bytes, 2000), "IMAGE_CHECKSUM_MISMATCH"],
    [
      "changed padding behind the disk",
      (bytes) => flip(bytes, 512 + disk.length + 5),
      "IMAGE_CHECKSUM_MISMATCH",
    ],
    ["a missing end", (bytes) => bytes.subarray(0, -700), "IMAGE_SOURCE_TRUNCATED"],
    ["more bytes than described", (bytes) => Buffer.concat([bytes, bytes]), "IMAGE_TOO_LARGE"],
  ])("a layer with %s", async (_name, change, code) => {
    const image = await oneLayer();
    const digest = image.layers[0] as string;
    image.blobs.set(digest, change(image.blobs.get(digest) as Buffer));
    expect(await pullCode(image)).toBe(code);
  });

  test("a layer whose uncompressed digest is another one", async () => {
    const image = await ociImage([[diskFile]]);
    const wrong = await ociImage([[{ ...diskFile, content: other }]]);
    const manifest = JSON.parse(String(image.manifest)) as { config: unknown };
    manifest.config = (JSON.parse(String(wrong.manifest)) as typeof manifest).config;
    const blobs = new Map([...image.blobs, ...wrong.blobs]);
    const mixed = { ...image, blobs, manifest: Buffer.from(JSON.stringify(manifest)) };
    expect(await pullCode(mixed)).toBe("IMAGE_CHECKSUM_MISMATCH");
  });

  test("a truncated tar with right digests", async () => {
    const tar = await layerTar([diskFile]);
    expect(await pullCode(imageOfTars([tar.subarray(0, 100_000)]))).toBe("IMAGE_CORRUPT");
  });

  test("a bomb", async () => {
    const bomb = await ociImage([[{ name: "disk/x", content: Buffer.alloc(80 * 2 ** 20) }]]);
    expect(await pullCode(bomb, { limits: { maxDecompressionRatio: 100 } })).toBe(
      "IMAGE_TOO_LARGE",
    );
    expect(await pullCode(bomb, { limits: { maxStoredBytes: 1_000_000 } })).toBe("IMAGE_TOO_LARGE");
  });

  test.each<[string, (manifest: Record<string, unknown>) => unknown, string]>([
    ["of schema 1", () => ({ schemaVersion: 1 }), "IMAGE_UNSUPPORTED"],
    ["that is a list", () => [], "IMAGE_UNSUPPORTED"],
    ["that is index and manifest at once", (it) => ({ ...it, manifests: [] }), "IMAGE_UNSUPPORTED"],
    ["of another type", (it) => ({ ...it, mediaType: "text/html" }), "IMAGE_UNSUPPORTED"],
    [
      "with a digest that is a path",
      (it) => ({ ...it, config: { mediaType: "x", digest: "../../x", size: 1 } }),
      "IMAGE_CORRUPT",
    ],
    [
      "with a negative size",
      (it) => ({ ...it, config: { ...(it["config"] as object), size: -1 } }),
      "IMAGE_CORRUPT",
    ],
    ["with fewer layers than its configuration", (it) => ({ ...it, layers: [] }), "IMAGE_CORRUPT"],
    [
      "with an encrypted layer",
      (it) => ({
        ...it,
        layers: (it["layers"] as { mediaType: string }[]).map((layer) => ({
          ...layer,
          mediaType: `${layer.mediaType}+encrypted`,
        })),
      }),
      "IMAGE_UNSUPPORTED",
    ],
  ])("a manifest %s", async (_name, change, code) => {
    const image = imageOfTars([await layerTar([diskFile])], "+gzip", change);
    expect(await pullCode(image)).toBe(code);
  });

  test("a manifest that is HTML", async () => {
    expect(await pullCode((_request, response) => response.end("<html>"))).toBe("IMAGE_CORRUPT");
  });

  test("a manifest that is endless", async () => {
    const endless: RequestListener = (_request, response) => {
      const send = (): void => void (response.writable && response.write(disk, send));
      send();
    };
    expect(await pullCode(endless)).toBe("IMAGE_TOO_LARGE");
  });

  test("a manifest that is not the one of the digest, or not the one that was told", async () => {
    const image = await ociImage([[diskFile]]);
    const forged: RequestListener = (request, response) => {
      const isManifest = request.url?.includes("/manifests/") === true;
      if (isManifest) response.setHeader("docker-content-digest", digestOf(other));
      serveImage(image)(request, response);
    };
    expect(await pullCode(forged)).toBe("IMAGE_CHECKSUM_MISMATCH");
    await using server = await serveLoopback((_request, response) => response.end(image.manifest));
    const reference = referenceTo(server, `@${digestOf(other)}`);
    await expect(openOciImage(reference)).rejects.toMatchObject({
      code: "IMAGE_CHECKSUM_MISMATCH",
    });
  });

  test("indexes within indexes without end", async () => {
    let image = await ociImage([[diskFile]]);
    for (let count = 0; count < 5; count += 1) image = ociIndex({ amd64: image });
    expect(await pullCode(image)).toBe("IMAGE_UNSAFE");
  });
});

describe("logging in", () => {
  const credentials = { username: "user", password: "pass:word" };
  const basic = `Basic ${Buffer.from("user:pass:word").toString("base64")}`;
  const secretFor = (server: LoopbackServer): string =>
    JSON.stringify({ auths: { [new URL(server.origin).host]: credentials } });

  /** A registry that wants what `expected` says, and challenges with `challenge`. */
  async function guarded(
    image: OciImage,
    expected: string,
    challenge: () => string,
  ): Promise<LoopbackServer> {
    return serveLoopback((request, response) => {
      if (request.headers.authorization === expected) serveImage(image)(request, response);
      else response.writeHead(401, { "www-authenticate": challenge() }).end();
    });
  }

  test("with user and password", async () => {
    const image = await ociImage([[diskFile]]);
    await using server = await guarded(image, basic, () => 'Basic realm="x"');
    const pullSecret = secretFor(server);
    await using opened = await openOciImage(referenceTo(server), { pullSecret });
    expect((await collectBytes(opened)).equals(disk)).toBe(true);
    await expect(openOciImage(referenceTo(server))).rejects.toMatchObject({
      code: "IMAGE_SOURCE_STATUS",
    });
    const wrong = pullSecret.replace("pass:word", "other");
    const error = openOciImage(referenceTo(server), { pullSecret: wrong });
    await expect(error).rejects.toMatchObject({ code: "IMAGE_SOURCE_STATUS" });
    await expect(error).rejects.toThrow(/^((?!other).)*$/);
  });

  test.each(["token", "access_token"])("with a token (%s) of a token service", async (key) => {
    const image = await ociImage([[diskFile]]);
    await using tokens = await serveLoopback((request, response) => {
      const isLoggedIn = request.headers.authorization === basic;
      response.end(JSON.stringify({ [key]: isLoggedIn ? "secret-token" : "anonymous" }));
    });
    const challenge = (): string =>
      `Bearer realm="${tokens.origin}/token",service="reg",scope="repository:repo/image:pull"`;
    await using server = await guarded(image, "Bearer secret-token", challenge);
    const options = { pullSecret: secretFor(server) };
    await using opened = await openOciImage(referenceTo(server), options);
    expect((await collectBytes(opened)).equals(disk)).toBe(true);
    expect(tokens.requests).toHaveLength(1);
    expect(tokens.requests[0]?.url).toBe(
      "/token?service=reg&scope=repository%3Arepo%2Fimage%3Apull",
    );
    await expect(openOciImage(referenceTo(server))).rejects.toMatchObject({
      code: "IMAGE_SOURCE_STATUS",
    });
  });

  test("the token does not follow a blob to another origin", async () => {
    const image = await ociImage([[diskFile]]);
    await using storage = await serveLoopback(serveImage(image));
    await using server = await serveLoopback((request, response) => {
      if (request.headers.authorization !== basic) {
        response.writeHead(401, { "www-authenticate": "Basic realm=x" }).end();
      } else if (request.url?.includes("/blobs/") === true) {
        response.writeHead(307, { location: `${storage.origin}${request.url}` }).end();
      } else {
        serveImage(image)(request, response);
      }
    });
    const options = { pullSecret: secretFor(server) };
    await using opened = await openOciImage(referenceTo(server), options);
    expect((await collectBytes(opened)).equals(disk)).toBe(true);
    expect(storage.requests.length).toBeGreaterThan(0);
    for (const { headers } of storage.requests) expect(headers.authorization).toBeUndefined();
  });

  test.each([
    ["Digest realm=x", "IMAGE_SOURCE_INVALID"],
    ["", "IMAGE_SOURCE_INVALID"],
    ['Bearer realm="file:///etc/passwd"', "IMAGE_SOURCE_INVALID"],
    ["Bearer", "IMAGE_SOURCE_INVALID"],
  ])("the challenge %j is refused", async (challenge, code) => {
    await using server = await guarded(await ociImage([[diskFile]]), basic, () => challenge);
    await expect(openOciImage(referenceTo(server))).rejects.toMatchObject({ code });
  });

  test.each(["", "{}", '{"token":7}', '{"token":"a\\r\\nb"}'])(
    "the token answer %j is refused",
    async (answer) => {
      await using tokens = await serveLoopback((_request, response) => response.end(answer));
      const challenge = (): string => `Bearer realm="${tokens.origin}"`;
      await using server = await guarded(await ociImage([[diskFile]]), basic, challenge);
      await expect(openOciImage(referenceTo(server))).rejects.toMatchObject({
        code: "IMAGE_SOURCE_INVALID",
      });
    },
  );

  test("a pull secret gives the credentials of the longest name", () => {
    const auth = Buffer.from("a:b:c").toString("base64");
    const secret = JSON.stringify({
      auths: {
        "https://reg.example/v1/": { username: "u", password: "p" },
        "reg.example/team": { auth },
        "reg.example.org": { username: "x", password: "x" },
      },
    });
    const find = (name: string): unknown => findCredentials(secret, parseOciReference(name));
    expect(find("reg.example/x/y")).toEqual({ username: "u", password: "p" });
    expect(find("reg.example/team/y")).toEqual({ username: "a", password: "b:c" });
    expect(find("reg.example/teams/y")).toEqual({ username: "u", password: "p" });
    expect(find("other.example/y")).toBeUndefined();
    for (const bad of ["", "[]", "{}", '{"auths":{"reg.example":{"auth":"x"}}}']) {
      expect(() => findCredentials(bad, parseOciReference("reg.example/x"))).toThrow(/pull secret/);
    }
  });
});

describe("names", () => {
  test.each<[string, string, string, string]>([
    ["reg.example/a/b:1.0", "reg.example", "a/b", "1.0"],
    ["docker://reg.example:5000/a", "reg.example:5000", "a", "latest"],
    ["localhost/a_b-c__d:X_1", "localhost", "a_b-c__d", "X_1"],
    ["[::1]:5000/a", "[::1]:5000", "a", "latest"],
    [`reg.example/a:1@sha256:${"0".repeat(64)}`, "reg.example", "a", `sha256:${"0".repeat(64)}`],
  ])("%s", (text, registry, repository, version) => {
    expect(parseOciReference(text)).toEqual({ registry, repository, version });
  });

  test.each([
    "",
    "debian",
    "library/debian:13",
    "reg.example/",
    "reg.example/A",
    "reg.example/../x",
    "reg.example/a:b:c/d",
    "reg.example/a@sha256:00",
    "reg.example/a@md5:x",
    "user@reg.example/a",
    "reg.example/a?x=y",
    "http://reg.example/a",
  ])("%j is none", (text) => {
    expect(() => parseOciReference(text)).toThrow(/must be named/);
  });

  test("plain HTTP is for this machine only, unless asked for", async () => {
    expect(["localhost:5000", "127.0.0.9", "[::1]:80"].every(isLoopbackRegistry)).toBe(true);
    expect(["reg.example", "127.evil.example", "10.0.0.1"].some(isLoopbackRegistry)).toBe(false);
    await using server = await serveLoopback(serveImage(await ociImage([[diskFile]])));
    await expect(openOciImage(referenceTo(server), { plainHttp: false })).rejects.toMatchObject({
      code: "IMAGE_SOURCE_UNREACHABLE",
    });
    await expect(openOciImage(referenceTo(server), { publicOnly: true })).rejects.toMatchObject({
      code: "IMAGE_FORBIDDEN_ADDRESS",
    });
  });
});

test("openSource takes docker:// names", async () => {
  await using server = await serveLoopback(serveImage(await ociImage([[diskFile]])));
  const source = await openSource(`docker://${referenceTo(server)}`);
  if (source.kind !== "forward") throw new Error("a layer can only be read in order");
  await using stream = source.stream;
  expect((await collectBytes(stream)).equals(disk)).toBe(true);
});

test("an aborted signal ends opening with its reason", async () => {
  const controller = new AbortController();
  const reason = new Error("stop");
  await using server = await serveLoopback(() => controller.abort(reason));
  const { signal } = controller;
  await expect(openOciImage(referenceTo(server), { signal })).rejects.toBe(reason);
});

describe("OCI layouts of the corpus", () => {
  const entries = CORPUS.filter(({ format }) => format === "oci");
  test.each(entries.map((entry) => [entry.file, entry]))("%s", async (_file, entry) => {
    const read = async (): Promise<number> => {
      await using opened = await openOciLayout(memoryReader(corpusImage(entry)));
      return (await collectBytes(opened)).length;
    };
    if (entry.klass === "valid") expect(await read()).toBe(369_152);
    else await expect(read()).rejects.toMatchObject({ code: expect.stringMatching(/^IMAGE_/) });
  });

  test("openArchiveDisk finds them, and OVAs, too", async () => {
    for (const entry of CORPUS.filter(({ klass }) => klass === "valid")) {
      if (entry.format !== "oci" && entry.format !== "ova") continue;
      const opened = await openArchiveDisk(memoryReader(corpusImage(entry)));
      expect(opened.archive).toBe(entry.format);
      expect(opened.source.kind).toBe(entry.format === "oci" ? "forward" : "random");
      await opened.verify();
    }
    const tar = await layerTar([{ name: "x.img", content: disk }]);
    expect(await openArchiveDisk(memoryReader(tar))).toMatchObject({
      archive: "tar",
      source: { kind: "random", reader: { sizeBytes: disk.length } },
    });
    const many = await layerTar([diskFile, { name: "y", content: other }]);
    await expect(openArchiveDisk(memoryReader(many))).rejects.toMatchObject({
      code: "IMAGE_UNRECOGNISED",
    });
  });
});

function flip(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] as number) ^ 1;
  return changed;
}
