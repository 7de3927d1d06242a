import type { AnyVirtualImage } from "../api/virtual-image.ts";
import type {
  ImageInfo,
  ImageSource,
  ImageStore,
  UploadImageSource,
} from "../backend/image-store.ts";
import type { Clock } from "../util/clock.ts";
import type { ContentSource } from "./content-source.ts";
import { importImage } from "./image-import.ts";
import type { MadeImage } from "./image-status.ts";
import type { VolumeClass } from "./volume-class.ts";
import { fillVolume, type VolumeProgress } from "./volume-filler.ts";
import { imageStoreName } from "./volume-names.ts";

/** An image that is to be made. */
export interface ImageOrder {
  readonly image: AnyVirtualImage;
  readonly content: ContentSource;
  readonly imageStore: ImageStore;
  readonly clock: Clock;
  readonly upload?: UploadImageSource;
  /** Present for an image on a volume. */
  readonly volumeClass?: VolumeClass;
}

/** Makes an image, in the image store or on a volume. */
export async function makeImage(
  order: ImageOrder,
  signal: AbortSignal,
  report: (progress: VolumeProgress) => void,
): Promise<MadeImage> {
  const { image, content, imageStore, clock, volumeClass, upload } = order;
  const name = imageStoreName(image);
  if (volumeClass === undefined) {
    const source = storeSource(order);
    const info =
      source === undefined
        ? await storedInfo(imageStore, name, signal)
        : await importImage(imageStore, name, source, { clock, signal, report });
    return { info };
  }
  const { storage, use, storageClassName } = volumeClass;
  const { volume, info, contentBytes } = await fillVolume(
    {
      volume: { name, storageClass: storageClassName, use },
      storage,
      content,
      size: undefined,
      ...(upload && { upload }),
      acceptIso: true,
      imageStore,
      clock,
    },
    signal,
    report,
  );
  const known = info ?? { format: "raw", cdrom: false, storedBytes: contentBytes };
  return { volume, info: { ...known, virtualSizeBytes: contentBytes } };
}

/** What the image store is given; `undefined` when it has the content already. */
function storeSource({ image, content, imageStore, upload }: ImageOrder): ImageSource | undefined {
  switch (content.type) {
    case "blank":
      throw new TypeError("an image is made of nothing");
    case "import":
      return content.from;
    case "upload":
      return upload;
    case "stored": {
      const { imageName } = content;
      if (imageName === imageStoreName(image)) return undefined;
      return {
        type: "disk",
        id: imageName,
        open: (signal) => imageStore.read(imageName, { signal }),
      };
    }
    case "volume": {
      const { storage, volume } = content;
      return {
        type: "disk",
        id: `${volume.type} ${volume.name}`,
        open: (signal) => storage.content.read(volume, { signal }),
      };
    }
  }
}

async function storedInfo(
  imageStore: ImageStore,
  name: string,
  signal: AbortSignal,
): Promise<ImageInfo> {
  const info = await imageStore.inspect(name, { signal });
  if (info) return info;
  throw new Error(`what was uploaded as "${name}" is no longer in the image store`);
}
