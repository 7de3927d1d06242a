import type { GuestDevice } from "../api/virtual-machine-status.ts";
import type { BlockSource } from "../backend/block-source.ts";
import type { Storage } from "../backend/storage.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { volumeName } from "./volume-names.ts";
import type { ControllerContext } from "./controller-context.ts";
import type { DeviceVolume } from "./machine-volumes.ts";

/** Names the VMs whose guests have a volume: an index of the cache of VMs. */
const MACHINES_BY_VOLUME = "volume";

/** A volume of a guest, as far as it must be known to let go of it. */
type UsedVolume = Pick<GuestDevice, "kind" | "name" | "volume">;

/**
 * Makes volumes usable on hosts, and undoes that. The volume of a disk is one VM's; that of an image stays on a host as
 * long as any guest there has it.
 */
export class VolumeAttachments {
  readonly #context: ControllerContext;
  /** VMs that have taken an image on a host, by volume and host: the cache of VMs may not know yet. */
  readonly #takers = new Map<string, Set<string>>();

  constructor(context: ControllerContext) {
    this.#context = context;
    context.caches
      .of("VirtualMachine")
      .addIndex(MACHINES_BY_VOLUME, ({ status }) =>
        (status?.guest?.devices ?? []).map(({ volume }) => volume),
      );
  }

  /** Makes a volume usable on a host; where a cluster brings volumes to its hosts, for whichever it chooses. */
  attach(
    { storage, volume, kind }: DeviceVolume,
    host: string | undefined,
    uid: string,
    signal: AbortSignal,
  ): Promise<BlockSource> {
    if (kind !== "VirtualDisk") {
      const key = `${volume} ${host}`;
      this.#takers.set(key, (this.#takers.get(key) ?? new Set()).add(uid));
    }
    return storage.attach(volume, givesClaims(storage) ? undefined : host, signal);
  }

  /**
   * Lets go of a volume. A disk that the VM has recorded but never got is left to whoever has it. Every storage is asked:
   * the disk may be gone by now, or its class.
   */
  async detach(
    { kind, name, volume }: UsedVolume,
    host: string | undefined,
    { metadata: { uid, name: vmName, namespace = "" } }: Pick<VirtualMachine, "metadata">,
    signal: AbortSignal,
  ): Promise<void> {
    if (kind === "VirtualDisk") {
      const disk = await this.#context.store.get(kind, { name, namespace });
      const users = disk?.status?.attachedToVirtualMachines ?? [];
      const holder = users.find(({ mounted }) => mounted)?.name;
      if (disk && volumeName(disk) === volume && holder !== vmName) return;
    } else {
      const takers = this.#takers.get(`${volume} ${host}`);
      takers?.delete(uid);
      if (takers?.size === 0) this.#takers.delete(`${volume} ${host}`);
      if (takers?.size || this.#isUsed(volume, host, uid)) return;
    }
    for (const storage of this.#context.storages.all()) {
      if (givesClaims(storage)) await storage.detach(volume, undefined, signal);
      else if (host !== undefined) await storage.detach(volume, host, signal);
    }
  }

  #isUsed(volume: string, host: string | undefined, uid: string): boolean {
    return this.#context.caches
      .of("VirtualMachine")
      .findBy(MACHINES_BY_VOLUME, volume)
      .some(({ metadata, status }) => {
        const { host: at, migration } = status?.guest ?? {};
        const isThere = at === host || migration?.target === host || migration?.source === host;
        return metadata.uid !== uid && isThere;
      });
  }
}

function givesClaims({ capabilities }: Storage): boolean {
  return capabilities.blockSources.every((type) => type === "claim");
}
