import { ImageError } from "../image-error.ts";
import { chooseDisk, memberMissing, severalFiles } from "../ova/choose-disk.ts";
import { parseManifest } from "../ova/ova-manifest.ts";
import { isDescriptorName } from "../ova/ova-parts.ts";
import type { OvfDescription, OvfFile } from "../ovf/ovf-description.ts";
import { parseOvf } from "../ovf/parse-ovf.ts";
import type { ForwardSource } from "../source/forward-source.ts";
import { walkTar, type TarMember } from "../tar/walk-tar.ts";
import { MemberDigests } from "./member-digests.ts";
import { WindowReader } from "./window-reader.ts";

// Headers and content come one after the other.
const WINDOW_BYTES = 4 * 1024 * 1024;
const STEP_BYTES = 1024 * 1024;
const MAX_DOCUMENT_BYTES = 1024 * 1024;

/** Options of {@link ForwardArchive}. */
export interface ForwardArchiveOptions {
  /** Which disk is meant: the name of its member, or its id in the descriptor of an OVA. */
  readonly member: string | undefined;
  /** Refuses longer streams. */
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
}

/** A disk in an archive that comes as a stream. */
export interface ForwardMember {
  readonly archive: "ova" | "tar";
  readonly stream: ForwardSource;
}

/** Reads a disk out of a tar archive or an OVA that comes as a stream. */
export class ForwardArchive {
  readonly #window: WindowReader;
  readonly #members: AsyncGenerator<TarMember, void, void>;
  readonly #options: ForwardArchiveOptions;
  readonly #digests = new MemberDigests();
  readonly #names = new Set<string>();
  #descriptorName: string | undefined;

  constructor(stream: AsyncIterable<Uint8Array>, options: ForwardArchiveOptions) {
    const { maxBytes, signal } = options;
    this.#window = new WindowReader(stream, { maxBytes, windowBytes: WINDOW_BYTES, signal });
    this.#members = walkTar(this.#window, { signal });
    this.#options = options;
  }

  /**
   * Goes on to the disk.
   *
   * @throws ImageError as `openArchiveDisk` does; `IMAGE_NOT_STREAMABLE` for container images and for
   * disks that come in chunks.
   */
  async findDisk(): Promise<ForwardMember> {
    let wanted = this.#options.member;
    let file: OvfFile | undefined;
    for (;;) {
      const member = await this.#next();
      if (member === undefined) throw this.#diskMissing(wanted);
      const { name } = member;
      if (isDescriptorName(name) && this.#names.size === 1) {
        this.#descriptorName = name;
        const description = await parseOvf(await this.#readDocument(member));
        file = chooseFile(description, this.#options.member);
        wanted = file.href;
      } else if (name === wanted || (wanted === undefined && this.#descriptorName === undefined)) {
        return this.#open(member, file);
      } else {
        await this.#pass(member);
      }
    }
  }

  /** Reads on to the end of the stream, and verifies what only shows there. */
  async finish(): Promise<void> {
    for (;;) {
      const member = await this.#next();
      if (member === undefined) break;
      if (this.#descriptorName === undefined && isDescriptorName(member.name)) {
        throw notStreamable("an OVA whose descriptor comes behind its disks; give it as a file");
      }
      const isOther = this.#descriptorName === undefined && this.#options.member === undefined;
      if (isOther) throw severalFiles([...this.#names]);
      await this.#pass(member);
    }
    this.#digests.verify();
    await this.#window.finish();
  }

  /** The next regular file. */
  async #next(): Promise<TarMember | undefined> {
    for (;;) {
      const step = await this.#members.next();
      if (step.done === true) return undefined;
      const { name, type } = step.value;
      if (type === "directory") continue;
      if (type === "sparse") {
        throw new ImageError("IMAGE_UNSUPPORTED", `"${name}" of the archive is a sparse member`);
      }
      if (type !== "file") {
        throw new ImageError("IMAGE_UNSAFE", `"${name}" of the archive is a ${type}, not a file`);
      }
      if (this.#names.has(name)) {
        throw new ImageError("IMAGE_UNSAFE", `the archive has "${name}" more than once`);
      }
      if (name === "oci-layout" || name === "index.json") {
        throw notStreamable("a container image; give its layout as a file");
      }
      this.#names.add(name);
      return step.value;
    }
  }

  #open(member: TarMember, file: OvfFile | undefined): ForwardMember {
    const { sizeBytes, name } = member;
    if (file?.sizeBytes !== undefined && file.sizeBytes !== sizeBytes) {
      throw new ImageError(
        "IMAGE_CORRUPT",
        `"${name}" of the OVA has ${sizeBytes} bytes where its descriptor says ${file.sizeBytes}`,
      );
    }
    const content = this.#content(member);
    return {
      archive: this.#descriptorName === undefined ? "tar" : "ova",
      stream: {
        sizeBytes,
        [Symbol.asyncIterator]: () => content,
        [Symbol.asyncDispose]: async () => {
          await content.return();
        },
      },
    };
  }

  #content(member: TarMember): AsyncGenerator<Uint8Array, void, void> {
    const { offset, sizeBytes, name } = member;
    const window = this.#window;
    async function* bytes(): AsyncGenerator<Uint8Array, void, void> {
      for (let at = 0; at < sizeBytes; at += STEP_BYTES) {
        yield await window.read(offset + at, Math.min(STEP_BYTES, sizeBytes - at));
      }
    }
    return this.#descriptorName === undefined ? bytes() : this.#digests.take(name, bytes());
  }

  /** Reads a member that is not the disk. */
  async #pass(member: TarMember): Promise<void> {
    const isManifest = member.name === this.#descriptorName?.replace(/\.ovf$/i, ".mf");
    if (isManifest) this.#digests.setManifest(parseManifest(await this.#readDocument(member)));
    else for await (const _chunk of this.#content(member));
  }

  async #readDocument(member: TarMember): Promise<Buffer> {
    if (member.sizeBytes > MAX_DOCUMENT_BYTES) {
      throw new ImageError("IMAGE_TOO_LARGE", `"${member.name}" of the OVA is longer than 1 MiB`);
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.#content(member)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  #diskMissing(wanted: string | undefined): ImageError {
    if (wanted === undefined) {
      return new ImageError("IMAGE_UNRECOGNISED", "the tar archive has no files");
    }
    if (this.#descriptorName === undefined) {
      return memberMissing("tar archive", wanted, [...this.#names]);
    }
    return new ImageError(
      "IMAGE_CORRUPT",
      `"${wanted}", which the OVF descriptor names, does not come behind it`,
    );
  }
}

function chooseFile(description: OvfDescription, member: string | undefined): OvfFile {
  const disks = description.disks.flatMap(({ id, fileId }) => {
    const file = description.files.find((candidate) => candidate.id === fileId);
    return file === undefined ? [] : [{ id, fileName: file.href, file }];
  });
  const { file } = chooseDisk(disks, member);
  if (file.chunkSizeBytes !== undefined) {
    throw notStreamable("an OVA whose disk is in chunks; give it as a file");
  }
  const { compression } = file;
  if (compression === undefined || compression.toLowerCase() === "gzip") return file;
  throw new ImageError(
    "IMAGE_UNSUPPORTED",
    `"${file.href}" of the OVA is compressed with ${JSON.stringify(compression)}`,
  );
}

function notStreamable(what: string): ImageError {
  return new ImageError("IMAGE_NOT_STREAMABLE", `the stream is ${what}`);
}
