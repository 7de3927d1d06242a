import { describe, expect, it } from "vitest";
import { blankDisk, diskOfImage, extents, IMAGE_URL } from "../support/manifests.ts";
import { World } from "../support/world.ts";

const API = "virtualization.deckhouse.io/v1alpha2";
const HTTP = { url: IMAGE_URL };
const REF = { kind: "VirtualImage", name: "ubuntu" };

async function refusal(manifest: object): Promise<string> {
  await using world = await World.open();
  return await world.platform.apply([manifest]).then(
    () => "it was taken",
    (error: Error) => error.message,
  );
}

function disk(spec: object, name = "d"): object {
  return { apiVersion: API, kind: "VirtualDisk", metadata: { name }, spec };
}

function image(kind: string, spec: object): object {
  return { apiVersion: API, kind, metadata: { name: "i" }, spec };
}

const SOURCES: readonly (readonly [object, string])[] = [
  [{ type: "HTTP" }, "HTTP requires http and cannot have ContainerImage, ObjectRef or Upload."],
  [
    { type: "HTTP", http: HTTP, objectRef: REF },
    "HTTP requires http and cannot have ContainerImage, ObjectRef or Upload.",
  ],
  [
    { type: "ObjectRef", http: HTTP },
    "ObjectRef requires objectRef and cannot have HTTP, ContainerImage or Upload.",
  ],
];

describe("a VirtualDisk is refused with", () => {
  it.each<[object, string]>(
    [
      ...SOURCES.map(
        ([dataSource, message]) => [{ dataSource }, `spec.dataSource: ${message}`] as const,
      ),
      [
        {},
        "spec.persistentVolumeClaim.size: if the data source is not specified, it's necessary to set spec.persistentVolumeClaim.size to create blank virtual disk",
      ],
      [
        { persistentVolumeClaim: { size: "0" } },
        "spec.persistentVolumeClaim.size: virtual disk size must be greater than 0",
      ],
      [
        { persistentVolumeClaim: { size: "-1Gi" } },
        "spec.persistentVolumeClaim.size: virtual disk size must be greater than 0",
      ],
    ].map(([spec, message]) => [spec as object, message as string]),
  )("%j", async (spec, message) => {
    expect(await refusal(disk(spec))).toBe(`VirtualDisk "default/d" is invalid: ${message}`);
  });

  it.each<[object, string]>([
    [{ type: "HTTP", http: { url: "ftp://x/y" } }, "http.url: must be an http:// or https:// URL"],
    [
      { type: "HTTP", http: { ...HTTP, checksum: { sha256: "abc" } } },
      "http.checksum.sha256: must be 64 hexadecimal digits",
    ],
    [
      { type: "HTTP", http: { ...HTTP, checksum: { md5: "x".repeat(32) } } },
      "http.checksum.md5: must be 32 hexadecimal digits",
    ],
    [{ type: "HTTP", http: { ...HTTP, caBundle: "-----BEGIN" } }, "http.caBundle: Invalid base64"],
    [
      { type: "Ftp" },
      'type: Invalid option: expected one of "HTTP"|"ContainerImage"|"ObjectRef"|"Upload"',
    ],
  ])("the source %j", async (dataSource, message) => {
    expect(await refusal(disk({ dataSource }))).toContain(`: spec.dataSource.${message}`);
  });

  it("a name with a dot", async () => {
    expect(await refusal(disk({ persistentVolumeClaim: { size: "1Gi" } }, "a.b"))).toBe(
      `VirtualDisk "default/a.b" is invalid: metadata.name: the VirtualDisk name "a.b" is invalid: '.' is forbidden, allowed name symbols are [0-9a-zA-Z-]`,
    );
  });

  it("a change that comes after it is Ready, and takes one that comes before", async () => {
    await using world = await World.open();
    await world.apply(diskOfImage("d", "missing", "1Gi"));
    await world.pass(10);
    await world.apply(blankDisk("d", "1Gi"));
    await world.untilPhase("VirtualDisk", "d", "Ready");
    await expect(world.apply(diskOfImage("d", "missing", "1Gi"))).rejects.toThrow(
      'VirtualDisk "default/d" is invalid: spec.dataSource: data source cannot be changed if the VirtualDisk has already been provisioned',
    );
    await world.platform.virtualDisks.patch("d", { metadata: { labels: { a: "b" } } });
  });
});

describe.each(["VirtualImage", "ClusterVirtualImage"])("a %s is refused with", (kind) => {
  const name = kind === "VirtualImage" ? "default/i" : "i";

  it.each(SOURCES.slice(0, 1))("%j", async (dataSource, message) => {
    expect(await refusal(image(kind, { dataSource }))).toBe(
      `${kind} "${name}" is invalid: spec.dataSource: ${message}`,
    );
  });

  it("another source once it is Ready", async () => {
    await using world = await World.open();
    world.images.serve(IMAGE_URL, { extents: extents() });
    const source = (url: string): object =>
      image(kind, { dataSource: { type: "HTTP", http: { url } } });
    await world.apply(source(`${IMAGE_URL}.old`));
    await world.apply(source(IMAGE_URL));
    await world.untilPhase(kind as "VirtualImage", "i", "Ready");
    await expect(world.apply(source(`${IMAGE_URL}.new`))).rejects.toThrow(
      kind === "VirtualImage"
        ? `${kind} "${name}" is invalid: spec.dataSource: data source cannot be changed if the VirtualImage has already been provisioned: delete it and create it anew`
        : `${kind} "${name}" is invalid: spec: ClusterVirtualImage is in a Ready state: configuration changes are not available`,
    );
  });
});
