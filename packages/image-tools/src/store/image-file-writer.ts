import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import { ImageError } from "../image-error.ts";
import { MAX_DATA_EXTENT_BYTES } from "../sparse/merge-extents.ts";
import { zeroRuns } from "../sparse/zero-runs.ts";

/** Writes one new file from start to end, leaves runs of zeros unwritten, and digests it. */
export class ImageFileWriter implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #maxBytes: number;
  readonly #hash = createHash("sha256");
  readonly #buffer = Buffer.allocUnsafeSlow(MAX_DATA_EXTENT_BYTES);
  #buffered = 0;
  #position = 0;

  private constructor(file: FileHandle, maxBytes: number) {
    this.#file = file;
    this.#maxBytes = maxBytes;
  }

  /** Creates the file at `path`, which must not exist. */
  static async create(path: string, maxBytes: number): Promise<ImageFileWriter> {
    return new ImageFileWriter(await open(path, "wx", 0o640), maxBytes);
  }

  /** @throws ImageError `IMAGE_TOO_LARGE` when the file would exceed its limit. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#position + this.#buffered + bytes.length > this.#maxBytes) {
      throw new ImageError("IMAGE_TOO_LARGE", `the image exceeds ${this.#maxBytes} bytes`);
    }
    this.#hash.update(bytes);
    let start = 0;
    while (start < bytes.length) {
      const room = this.#buffer.length - this.#buffered;
      const part = bytes.subarray(start, start + room);
      this.#buffer.set(part, this.#buffered);
      this.#buffered += part.length;
      start += part.length;
      if (this.#buffered === this.#buffer.length) await this.#flush();
    }
  }

  /** Writes what is left and waits until the file is on stable storage. */
  async finish(): Promise<{ readonly sizeBytes: number; readonly sha256: string }> {
    await this.#flush();
    await this.#file.truncate(this.#position);
    await this.#file.sync();
    return { sizeBytes: this.#position, sha256: this.#hash.digest("hex") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #flush(): Promise<void> {
    const bytes = this.#buffer.subarray(0, this.#buffered);
    for (const run of zeroRuns(bytes, this.#position)) {
      let { start } = run;
      while (!run.zero && start < run.end) {
        const { bytesWritten } = await this.#file.write(
          bytes,
          start,
          run.end - start,
          this.#position + start,
        );
        start += bytesWritten;
      }
    }
    this.#position += this.#buffered;
    this.#buffered = 0;
  }
}
