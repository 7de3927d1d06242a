import type { ContainerImageDataSource, DataSource, HttpDataSource } from "../api/data-source.ts";
import { keyOf } from "../api/meta.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { AnyVirtualImage } from "../api/virtual-image.ts";
import type {
  ContainerImageSource,
  HttpImageSource,
  ImageChecksum,
  UploadImageSource,
} from "../backend/image-store.ts";
import type { Storage, VolumeSource } from "../backend/storage.ts";
import type { SourceInputs, SourceKind, SourceObject } from "../storage/data-source-decision.ts";
import { parseQuantity } from "../util/quantity.ts";
import type { ControllerContext } from "./controller-context.ts";
import { imageStoreName, snapshotVolumeName, volumeName } from "./volume-names.ts";

/** Where the content of an image or a disk comes from, ready to be taken. */
export type ContentSource =
  | { readonly type: "blank" }
  | { readonly type: "import"; readonly from: HttpImageSource | ContainerImageSource }
  | { readonly type: "upload"; readonly checksum?: ImageChecksum }
  | { readonly type: "stored"; readonly imageName: string; readonly image: AnyVirtualImage }
  | {
      readonly type: "volume";
      readonly storage: Storage;
      readonly volume: VolumeSource;
      readonly sizeBytes: number;
      readonly cdrom: boolean;
      /** The disk that it is the volume of: it must not be written meanwhile. */
      readonly disk?: VirtualDisk;
    };

/** A data source that was looked up. */
export interface FoundSource {
  /** What the decision about it needs. */
  readonly inputs: SourceInputs;
  /** Absent while it cannot be said where the content is. */
  readonly content?: ContentSource;
  /** Tells the content from other content that the same resource could have. */
  readonly identity: string;
  /** The uid of the object that the content is taken from. */
  readonly sourceUID?: string;
}

/** Who has the data source. */
export interface SourceOwner {
  readonly namespace: string | undefined;
  readonly dataSource: DataSource | undefined;
}

/** Looks up where the content of an image or a disk comes from. */
export function findSource(owner: SourceOwner, context: ControllerContext): FoundSource {
  const { dataSource, namespace } = owner;
  const identity = JSON.stringify(dataSource ?? null);
  if (dataSource === undefined) {
    return { inputs: { type: "none" }, content: { type: "blank" }, identity };
  }
  switch (dataSource.type) {
    case "HTTP": {
      const from = dataSource.http && httpSource(dataSource.http);
      const inputs = { type: "http" } as const;
      return { inputs, identity, ...(from && { content: { type: "import", from } }) };
    }
    case "Upload": {
      const checksum = checksumOf(dataSource.upload?.checksum);
      return {
        inputs: { type: "upload" },
        content: { type: "upload", ...(checksum && { checksum }) },
        identity,
      };
    }
    case "ContainerImage":
      return findContainerImage(dataSource.containerImage, namespace, identity, context);
    case "ObjectRef":
      return findObject(owner, identity, context);
  }
}

/** What comes in, with the digests that it must have. */
export function checkedUpload(
  source: UploadImageSource,
  content: ContentSource,
): UploadImageSource {
  const checksum = content.type === "upload" ? content.checksum : undefined;
  return { ...source, ...(checksum && { checksum }) };
}

/** The digests that image stores check. */
function checksumOf(checksum: HttpDataSource["checksum"]): ImageChecksum | undefined {
  if (checksum === undefined) return undefined;
  const { md5, sha1, sha256, sha512 } = checksum;
  return {
    ...(md5 !== undefined && { md5 }),
    ...(sha1 !== undefined && { sha1 }),
    ...(sha256 !== undefined && { sha256 }),
    ...(sha512 !== undefined && { sha512 }),
  };
}

function httpSource({ url, checksum, caBundle }: HttpDataSource): HttpImageSource {
  const digests = checksumOf(checksum);
  return {
    type: "http",
    url,
    ...(digests && { checksum: digests }),
    ...(caBundle !== undefined && { caBundle: decode(caBundle) }),
  };
}

function decode(base64: string): string {
  return Buffer.from(base64, "base64").toString();
}

const DOCKER_CONFIG = ".dockerconfigjson";
const DOCKER_CONFIG_TYPE = "kubernetes.io/dockerconfigjson";

function findContainerImage(
  wanted: ContainerImageDataSource | undefined,
  namespace: string | undefined,
  identity: string,
  { caches }: ControllerContext,
): FoundSource {
  const { image = "", imagePullSecret, caBundle } = wanted ?? {};
  const from: ContainerImageSource = {
    type: "container",
    image,
    ...(caBundle !== undefined && { caBundle: decode(caBundle) }),
  };
  const name = imagePullSecret?.name;
  if (name === undefined) {
    return { inputs: { type: "container-image" }, content: { type: "import", from }, identity };
  }
  const where = imagePullSecret?.namespace ?? namespace;
  const key = keyOf({ name, ...(where !== undefined && { namespace: where }) });
  const secret = caches.of("Secret").get(key);
  const encoded = secret?.data[DOCKER_CONFIG];
  const problem =
    secret === undefined
      ? `Secret ${key} not found: create it.`
      : secret.type !== DOCKER_CONFIG_TYPE
        ? `Unexpected secret type: ${secret.type}: it must be ${DOCKER_CONFIG_TYPE}.`
        : encoded === undefined
          ? `Secret ${key} has no key ${DOCKER_CONFIG}.`
          : undefined;
  return {
    inputs: { type: "container-image", secret: { name, problem } },
    ...(encoded !== undefined &&
      problem === undefined && {
        content: { type: "import", from: { ...from, dockerConfig: decode(encoded) } },
      }),
    // Another secret may open what this one could not.
    identity: `${identity} ${secret?.metadata.resourceVersion}`,
  };
}

function findObject(
  { dataSource, namespace: own }: SourceOwner,
  identity: string,
  context: ControllerContext,
): FoundSource {
  const ref = dataSource?.objectRef;
  if (ref === undefined) throw new TypeError("a data source of type ObjectRef names no object");
  const { kind, name } = ref;
  const namespace = kind === "ClusterVirtualImage" ? undefined : (ref.namespace ?? own);
  const key = keyOf({ name, ...(namespace !== undefined && { namespace }) });
  const object = describeObject(kind, key, context);
  const inputs = { type: "object", kind, name, namespace, object: object?.state } as const;
  if (object === undefined) return { inputs, identity };
  return {
    inputs,
    ...(object.content && { content: object.content }),
    identity: `${identity} ${object.uid}`,
    sourceUID: object.uid,
  };
}

interface DescribedObject {
  readonly uid: string;
  readonly state: SourceObject;
  readonly content?: ContentSource;
}

function describeObject(
  kind: SourceKind,
  key: string,
  context: ControllerContext,
): DescribedObject | undefined {
  const { caches, storages } = context;
  if (kind === "VirtualImage" || kind === "ClusterVirtualImage") {
    const image = caches.of(kind).get(key);
    return image && describeImage(image, context);
  }
  if (kind === "VirtualDisk") {
    const disk = caches.of(kind).get(key);
    if (disk === undefined) return undefined;
    const { phase, capacity, attachedToVirtualMachines, storageClassName } = disk.status ?? {};
    const mountedBy = attachedToVirtualMachines?.find(({ mounted }) => mounted)?.name;
    const storage = storages.ofClass(storageClassName, caches);
    const busy = phase === "Resizing" ? "being resized" : undefined;
    return {
      uid: disk.metadata.uid,
      state: {
        phase: phase === "Resizing" ? "Ready" : phase,
        deleting: disk.metadata.deletionTimestamp !== undefined,
        ...(mountedBy !== undefined && { mountedBy }),
        ...(busy !== undefined && { busy }),
      },
      ...(storage && {
        content: {
          type: "volume",
          storage,
          volume: { type: "volume", name: volumeName(disk) },
          sizeBytes: parseQuantity(capacity ?? "0"),
          cdrom: false,
          disk,
        },
      }),
    };
  }
  const snapshot = caches.of(kind).get(key);
  if (snapshot === undefined) return undefined;
  const { phase, storage: storageName, sizeBytes } = snapshot.status ?? {};
  const storage = storages.find(storageName);
  return {
    uid: snapshot.metadata.uid,
    state: { phase, deleting: snapshot.metadata.deletionTimestamp !== undefined },
    ...(storage &&
      sizeBytes !== undefined && {
        content: {
          type: "volume",
          storage,
          volume: { type: "snapshot", name: snapshotVolumeName(snapshot) },
          sizeBytes,
          cdrom: false,
        },
      }),
  };
}

function describeImage(
  image: AnyVirtualImage,
  { storages, caches }: ControllerContext,
): DescribedObject {
  const { metadata, status } = image;
  const cdrom = status?.cdrom ?? false;
  const state: SourceObject = {
    phase: status?.phase,
    deleting: metadata.deletionTimestamp !== undefined,
    cdrom,
  };
  const volume = status?.target?.persistentVolumeClaimName;
  if (volume === undefined) {
    const content = { type: "stored", imageName: imageStoreName(image), image } as const;
    return { uid: metadata.uid, state, content };
  }
  const storage = storages.ofClass(status?.storageClassName, caches);
  const sizeBytes = Number(status?.size?.unpackedBytes ?? 0);
  return {
    uid: metadata.uid,
    state,
    ...(storage && {
      content: {
        type: "volume",
        storage,
        volume: { type: "volume", name: volume },
        sizeBytes,
        cdrom,
      },
    }),
  };
}
