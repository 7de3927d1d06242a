import type { GuestSpec, SparseExtent } from "@polyvisor/core";
import { createIso9660, type Iso9660Input } from "@polyvisor/image-tools";
import type { LibvirtHost } from "./libvirt-host.ts";

/** A CD-ROM that is made for one guest and goes with it. */
interface GuestMedium {
  readonly volume: string;
  readonly disc: Iso9660Input;
}

const SEED = (uid: string): string => `seed-${uid}.iso`;
const ANSWERS = (uid: string): string => `answers-${uid}.iso`;

/** The CD-ROMs that a guest needs, the one for cloud-init first. */
function mediaOf({ uid, cloudInit, answerFiles }: GuestSpec): GuestMedium[] {
  const media: GuestMedium[] = [];
  if (cloudInit) {
    const { userData, metaData } = cloudInit;
    media.push({
      volume: SEED(uid),
      disc: {
        volumeId: "cidata",
        files: [
          { name: "meta-data", content: metaData },
          { name: "user-data", content: userData },
        ],
      },
    });
  }
  if (answerFiles) {
    const files = Object.entries(answerFiles).map(([name, content]) => ({ name, content }));
    media.push({ volume: ANSWERS(uid), disc: { volumeId: "sysprep", files } });
  }
  return media;
}

/** Makes the CD-ROMs of a guest anew, and gives their paths on the host. */
export async function writeGuestMedia(
  host: LibvirtHost,
  spec: GuestSpec,
  signal: AbortSignal,
): Promise<string[]> {
  const paths: string[] = [];
  for (const { volume: name, disc } of mediaOf(spec)) {
    const bytes = createIso9660(disc);
    // What an earlier start has left may have other content.
    await host.pool.delete(name, signal);
    const volume = await host.pool.create(name, bytes.length, signal);
    await host.pool.write(volume, once(bytes), signal);
    paths.push(await host.pool.path(volume, signal));
  }
  return paths;
}

/** Removes whatever CD-ROMs were made for a guest. */
export async function removeGuestMedia(
  host: LibvirtHost,
  uid: string,
  signal: AbortSignal,
): Promise<void> {
  for (const name of [SEED(uid), ANSWERS(uid)]) await host.pool.delete(name, signal);
}

async function* once(bytes: Uint8Array): AsyncGenerator<SparseExtent> {
  yield { type: "data", bytes };
}
