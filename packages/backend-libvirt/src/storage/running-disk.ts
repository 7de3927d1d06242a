import { setTimeout as sleep } from "node:timers/promises";
import { PolyvisorError } from "@polyvisor/core";
import type { HostDomain, LibvirtHost } from "../host/libvirt-host.ts";
import { isAgentUnavailableError, isLibvirtError } from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";
import { attributeOf, childAt, childrenOf, parseXml } from "../xml/parse-xml.ts";
import { renderXml } from "../xml/render-xml.ts";

/** Numbers of libvirt: flags of the procedures below. */
const SNAPSHOT_NO_METADATA = 4;
const SNAPSHOT_DISK_ONLY = 16;
const SNAPSHOT_QUIESCE = 64;
const SNAPSHOT_ATOMIC = 128;
const COMMIT_DELETE = 2;
const COMMIT_ACTIVE = 4;
const ABORT_PIVOT = 2;
const COPY_REUSE_EXTERNAL = 2;
const COPY_TRANSIENT_JOB = 4;
const RESIZE_BYTES = 1;

const POLL_MILLISECONDS = 100;

/** A disk of a domain, by the file or device behind it. */
interface DomainDisk {
  /** Such as `sda`. */
  readonly target: string;
  readonly path: string;
}

/** The disks that a domain has, those without content left out. */
async function domainDisks(
  host: LibvirtHost,
  domain: DomainHandle,
  signal: AbortSignal,
): Promise<readonly DomainDisk[]> {
  const { xml } = await host.connections.call(
    procedures.domainGetXmlDesc,
    { domain, flags: 0 },
    { signal },
  );
  return readDisks(xml);
}

/** Reads the disks out of the XML of a domain. */
function readDisks(xml: string): readonly DomainDisk[] {
  return childrenOf(childAt(parseXml(xml), "devices"), "disk").flatMap((disk) => {
    const source = childAt(disk, "source");
    const path = attributeOf(source, "file") ?? attributeOf(source, "dev");
    const target = attributeOf(childAt(disk, "target"), "dev");
    return path === undefined || target === undefined ? [] : [{ target, path }];
  });
}

/** The running guest of a host that has a disk on one of the paths. */
export async function runningUser(
  host: LibvirtHost,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<RunningDisk | undefined> {
  for (const domain of await host.domains(signal)) {
    if (domain.handle.id < 0) continue;
    const found = await runningDisk(host, domain, paths, signal);
    if (found) return found;
  }
  return undefined;
}

/** The disk of a running guest that is on one of the paths. */
export async function runningDisk(
  host: LibvirtHost,
  { handle: domain }: HostDomain,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<RunningDisk | undefined> {
  const { active } = await host.connections.call(procedures.domainIsActive, { domain }, { signal });
  if (!active) return undefined;
  const disks = await domainDisks(host, domain, signal);
  const disk = disks.find(({ path }) => paths.includes(path));
  return disk && new RunningDisk(host, domain, disk);
}

/** A disk of a running guest, whose content can be led elsewhere. */
export class RunningDisk {
  readonly path: string;
  readonly #host: LibvirtHost;
  readonly #domain: DomainHandle;
  readonly #target: string;

  constructor(host: LibvirtHost, domain: DomainHandle, { target, path }: DomainDisk) {
    this.path = path;
    this.#host = host;
    this.#domain = domain;
    this.#target = target;
  }

  /**
   * From now on the guest writes to a new file, and the former one does not change any more. File systems are brought to
   * rest at that moment where an agent inside can do it.
   */
  async divert(path: string, signal: AbortSignal): Promise<void> {
    const xml = renderXml([
      "domainsnapshot",
      {},
      [
        "disks",
        {},
        [
          "disk",
          { name: this.#target, snapshot: "external", type: "file" },
          ["driver", { type: "qcow2" }],
          ["source", { file: path }],
        ],
        ...(await this.#others(signal)).map((name) => ["disk", { name, snapshot: "no" }] as const),
      ],
    ]);
    const flags = SNAPSHOT_NO_METADATA | SNAPSHOT_DISK_ONLY | SNAPSHOT_ATOMIC;
    const take = async (extra: number): Promise<void> => {
      await this.#host.connections.call(
        procedures.domainSnapshotCreateXml,
        { domain: this.#domain, xml, flags: flags | extra },
        { signal },
      );
    };
    try {
      await take(SNAPSHOT_QUIESCE);
    } catch (error) {
      if (!cannotQuiesce(error)) throw error;
      await take(0);
    }
  }

  /** Puts what was written since {@link divert} back into the former file, which the guest then writes to again. */
  async putBack(signal: AbortSignal): Promise<void> {
    await this.#host.connections.call(
      procedures.domainBlockCommit,
      {
        domain: this.#domain,
        disk: this.#target,
        bandwidth: 0,
        flags: COMMIT_ACTIVE | COMMIT_DELETE,
      },
      { signal },
    );
    await this.#pivot(signal);
  }

  /** Moves the content to another volume that is there, of at least the same size, while the guest runs. */
  async moveTo(
    destination: {
      readonly path: string;
      readonly format: string;
      readonly type: "file" | "block";
    },
    signal: AbortSignal,
  ): Promise<void> {
    const source = destination.type === "file" ? "file" : "dev";
    const destinationXml = renderXml([
      "disk",
      { type: destination.type },
      ["driver", { type: destination.format }],
      ["source", { [source]: destination.path }],
    ]);
    await this.#host.connections.call(
      procedures.domainBlockCopy,
      {
        domain: this.#domain,
        path: this.#target,
        destinationXml,
        parameters: [],
        flags: COPY_REUSE_EXTERNAL | COPY_TRANSIENT_JOB,
      },
      { signal },
    );
    await this.#pivot(signal);
  }

  /** Makes the disk larger, for the guest as well. */
  async resize(sizeBytes: number, signal: AbortSignal): Promise<void> {
    await this.#host.connections.call(
      procedures.domainBlockResize,
      { domain: this.#domain, disk: this.#target, size: sizeBytes, flags: RESIZE_BYTES },
      { signal },
    );
  }

  async #pivot(signal: AbortSignal): Promise<void> {
    const job = { domain: this.#domain, path: this.#target };
    try {
      do {
        await this.#ready(signal);
      } while (!(await this.#lead(signal)));
    } catch (error) {
      await this.#host.connections
        .call(procedures.domainBlockJobAbort, { ...job, flags: 0 }, {})
        .catch(() => {});
      throw error;
    }
  }

  /** Leads the guest to where the job has copied to; false when QEMU is not ready for that yet. */
  async #lead(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#host.connections.call(
        procedures.domainBlockJobAbort,
        { domain: this.#domain, path: this.#target, flags: ABORT_PIVOT },
        { signal },
      );
      return true;
    } catch (error) {
      // A job whose numbers are equal may not have been told to be ready: there is nothing else to tell the two apart.
      if (!isLibvirtError(error) || error.code !== "LIBVIRT_BLOCK_COPY_ACTIVE") throw error;
      await sleep(POLL_MILLISECONDS, undefined, { signal });
      return false;
    }
  }

  /** Waits until the job has caught up with the guest. */
  async #ready(signal: AbortSignal): Promise<void> {
    for (;;) {
      const { found, current, end } = await this.#host.connections.call(
        procedures.domainGetBlockJobInfo,
        { domain: this.#domain, path: this.#target, flags: 0 },
        { signal },
      );
      if (!found) {
        throw new PolyvisorError(
          "POLYVISOR_REFUSED",
          `copying disk ${this.#target} of guest "${this.#domain.name}" ended before it was done`,
        );
      }
      if (BigInt(end) > 0n && BigInt(current) === BigInt(end)) return;
      await sleep(POLL_MILLISECONDS, undefined, { signal });
    }
  }

  async #others(signal: AbortSignal): Promise<readonly string[]> {
    const disks = await domainDisks(this.#host, this.#domain, signal);
    return disks.map(({ target }) => target).filter((target) => target !== this.#target);
  }
}

/** Without an agent, or when somebody has brought the file systems to rest already. */
function cannotQuiesce(error: unknown): boolean {
  if (isAgentUnavailableError(error)) return true;
  return isLibvirtError(error) && /agent|quiesced/i.test(error.message);
}
