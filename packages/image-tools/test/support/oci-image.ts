import { createHash } from "node:crypto";
import type { RequestListener } from "node:http";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { pack, type Header } from "tar-stream";
import { collectBytes } from "./collect.ts";

export type LayerFile = Partial<Header> & { readonly name: string; readonly content?: Uint8Array };

/** A container image: its manifest and everything that the manifest refers to, by digest. */
export interface OciImage {
  readonly manifest: Buffer;
  readonly blobs: Map<string, Buffer>;
  /** Digests of the layers, the lowest first. */
  readonly layers: readonly string[];
}

export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
export const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";
const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar";

export const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

export async function layerTar(files: readonly LayerFile[]): Promise<Buffer> {
  const packer = pack();
  for (const { content = new Uint8Array(), ...header } of files) {
    packer.entry({ ...header, size: content.length }, Buffer.from(content));
  }
  packer.finalize();
  return collectBytes(packer as AsyncIterable<Uint8Array>);
}

const COMPRESSIONS = {
  "": (bytes: Buffer) => bytes,
  "+gzip": (bytes: Buffer) => gzipSync(bytes),
  "+zstd": (bytes: Buffer) => zstdCompressSync(bytes),
};

/** Makes an image of layers, the lowest first. */
export async function ociImage(
  layers: readonly (readonly LayerFile[])[],
  compression: keyof typeof COMPRESSIONS = "+gzip",
): Promise<OciImage> {
  const tars = await Promise.all(layers.map(layerTar));
  return imageOfTars(tars, compression);
}

export function imageOfTars(
  tars: readonly Buffer[],
  compression: keyof typeof COMPRESSIONS = "+gzip",
  change: (manifest: Record<string, unknown>) => unknown = (manifest) => manifest,
): OciImage {
  const blobs = new Map<string, Buffer>();
  const add = (mediaType: string, bytes: Buffer): object => {
    blobs.set(digestOf(bytes), bytes);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const descriptors = tars.map((tar) =>
    add(LAYER_TYPE + compression, COMPRESSIONS[compression](tar)),
  );
  const config = { os: "linux", rootfs: { type: "layers", diff_ids: tars.map(digestOf) } };
  const document = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: add("application/vnd.oci.image.config.v1+json", Buffer.from(JSON.stringify(config))),
    layers: descriptors,
  };
  return {
    manifest: Buffer.from(JSON.stringify(change(document))),
    blobs,
    layers: descriptors.map((descriptor) => (descriptor as { digest: string }).digest),
  };
}

/** An index with one manifest for each of some platforms. */
export function ociIndex(images: Readonly<Record<string, OciImage>>): OciImage {
  const blobs = new Map<string, Buffer>();
  const manifests = Object.entries(images).map(([architecture, { manifest, blobs: parts }]) => {
    for (const [digest, bytes] of parts) blobs.set(digest, bytes);
    blobs.set(digestOf(manifest), manifest);
    return {
      mediaType: MANIFEST_TYPE,
      digest: digestOf(manifest),
      size: manifest.length,
      platform: { os: "linux", architecture },
    };
  });
  const document = { schemaVersion: 2, mediaType: INDEX_TYPE, manifests };
  return { manifest: Buffer.from(JSON.stringify(document)), blobs, layers: [] };
}

/** Serves one image as `repo/image:latest`, as a registry without login does. */
export function serveImage({ manifest, blobs }: OciImage): RequestListener {
  return (request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://registry");
    const [, kind, name = ""] = /^\/v2\/repo\/image\/(manifests|blobs)\/(.+)$/.exec(pathname) ?? [];
    const isRoot = kind === "manifests" && (name === "latest" || name === digestOf(manifest));
    const bytes = isRoot ? manifest : blobs.get(decodeURIComponent(name));
    if (bytes === undefined) {
      response.writeHead(404).end();
      return;
    }
    if (kind === "manifests") response.setHeader("content-type", MANIFEST_TYPE);
    response.setHeader("content-length", bytes.length);
    response.end(bytes);
  };
}
