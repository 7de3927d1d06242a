import { setTimeout as sleep } from "node:timers/promises";
import { ImageError, isImageError } from "../image-error.ts";
import { parseContentRange } from "./content-range.ts";
import { translateRequestError } from "./http-failure.ts";
import { redactUrl } from "./redact-url.ts";
import { changedError, conditionFor, remoteFileOf, requireSameFile } from "./remote-file.ts";
import type { RemoteFile } from "./remote-file.ts";
import {
  firstValue,
  sendRequest,
  type HttpResponse,
  type RequestSettings,
} from "./send-request.ts";
import { guardStall } from "./stall-guard.ts";

const MAX_FAILURES = 5;
const PROGRESS_BYTES = 64 * 1024;
const FIRST_DELAY_MS = 100;
const RANGE_NOT_SATISFIABLE = 416;

/** The beginning of a remote file, and which version of it that is. */
export interface RemoteHead {
  readonly file: RemoteFile;
  readonly bytes: Buffer;
  /** Where the file is after redirects, without user, password and query. */
  readonly location: string;
}

/** Requests and body bytes so far. */
export interface HttpTraffic {
  requests: number;
  bytes: number;
}

/** Fetches byte ranges of one file, each over as many tries as it takes. */
export class RangeClient {
  readonly traffic: HttpTraffic = { requests: 0, bytes: 0 };
  readonly #start: URL;
  readonly #settings: RequestSettings;
  #file: RemoteFile | undefined;
  #current: URL;

  constructor(start: URL, settings: RequestSettings) {
    this.#start = start;
    this.#current = start;
    this.#settings = { ...settings, acceptedStatuses: [RANGE_NOT_SATISFIABLE] };
  }

  /**
   * Fetches the first `length` bytes, or all of a shorter file, and learns which file it is.
   *
   * @throws ImageError `IMAGE_SOURCE_NO_RANGES` when the server ignores ranges.
   */
  async open(length: number): Promise<RemoteHead> {
    return this.#retry(async () => {
      const response = await this.#request(0, length, {});
      try {
        const location = redactUrl(response.url);
        if (response.status === RANGE_NOT_SATISFIABLE) {
          return { location, ...this.#openEmpty(response) };
        }
        if (response.status !== 206) {
          throw new ImageError(
            "IMAGE_SOURCE_NO_RANGES",
            `${location} does not serve parts of the file, so it can only be read in order`,
          );
        }
        const range = parseContentRange(response);
        const expected = Math.min(length, range.totalBytes);
        if (range.start !== 0 || range.end !== expected) throw wrongRange(response);
        const file = remoteFileOf(response, range.totalBytes);
        const bytes = Buffer.allocUnsafeSlow(expected);
        await this.#receive(response, bytes, 0);
        this.#file = file;
        return { file, bytes, location };
      } finally {
        discard(response);
      }
    });
  }

  /**
   * Fetches `length` bytes from `offset`, which lie inside the file.
   *
   * @throws ImageError `IMAGE_SOURCE_*`.
   */
  async fetch(offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(length);
    let done = 0;
    await this.#retry(async () => {
      const before = done;
      try {
        await this.#fetchRest(offset, bytes, done, (received) => (done += received));
      } catch (error) {
        if (isImageError(error) && error.retryable && done - before >= PROGRESS_BYTES)
          return "progress";
        throw error;
      }
      return "done";
    });
    return bytes;
  }

  async #fetchRest(
    offset: number,
    bytes: Buffer,
    done: number,
    onReceived: (length: number) => void,
  ): Promise<void> {
    const file = this.#file as RemoteFile;
    const start = offset + done;
    const end = offset + bytes.length;
    const response = await this.#request(start, end, conditionFor(file));
    try {
      if (response.status !== 206) throw changedError(response);
      const range = parseContentRange(response);
      requireSameFile(file, response, range);
      if (range.start !== start || range.end !== end) throw wrongRange(response);
      await this.#receive(response, bytes, done, onReceived);
    } finally {
      discard(response);
    }
  }

  async #request(
    start: number,
    end: number,
    condition: Readonly<Record<string, string>>,
  ): Promise<HttpResponse> {
    const headers = { range: `bytes=${start}-${end - 1}`, ...condition };
    const from = this.#current;
    this.traffic.requests += 1;
    try {
      const response = await sendRequest(this.#start, headers, this.#settings, from);
      this.#current = response.url;
      return response;
    } catch (error) {
      // The address that a redirect gave may have expired; the first one gives a fresh one.
      if (from === this.#start || !isImageError(error, "IMAGE_SOURCE_STATUS")) throw error;
      this.#current = this.#start;
      return await this.#request(start, end, condition);
    }
  }

  #openEmpty(response: HttpResponse): { readonly file: RemoteFile; readonly bytes: Buffer } {
    if (firstValue(response.headers["content-range"]) !== "bytes */0") {
      throw new ImageError(
        "IMAGE_SOURCE_INVALID",
        `${redactUrl(response.url)} refuses to send the beginning of the file`,
      );
    }
    this.#file = remoteFileOf(response, 0);
    return { file: this.#file, bytes: Buffer.alloc(0) };
  }

  async #receive(
    response: HttpResponse,
    target: Buffer,
    from: number,
    onReceived?: (length: number) => void,
  ): Promise<void> {
    const { stallTimeoutMs, signal } = this.#settings;
    const location = redactUrl(response.url);
    const iterator = response.body[Symbol.asyncIterator]();
    let position = from;
    try {
      for (;;) {
        const step = await guardStall(
          () => iterator.next() as Promise<IteratorResult<Uint8Array>>,
          stallTimeoutMs,
          signal,
        );
        if (step.done === true) break;
        this.traffic.bytes += step.value.length;
        if (position + step.value.length > target.length) {
          throw new ImageError("IMAGE_SOURCE_INVALID", `${location} sends more than was asked for`);
        }
        target.set(step.value, position);
        position += step.value.length;
        onReceived?.(step.value.length);
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw translateRequestError(error, location);
    }
    if (position < target.length) {
      throw new ImageError(
        "IMAGE_SOURCE_TRUNCATED",
        `${location} ended a part after ${position} of ${target.length} bytes`,
      );
    }
  }

  /** Repeats `run` after passing failures; a try that made progress is not one. */
  async #retry<Result>(run: () => Promise<Result | "progress">): Promise<Result> {
    const { signal } = this.#settings;
    for (let failures = 0; ;) {
      try {
        const result = await run();
        if (result !== "progress") return result;
        failures = 0;
      } catch (error) {
        failures += 1;
        const canRetry =
          isImageError(error) && error.retryable && error.code !== "IMAGE_SOURCE_CHANGED";
        if (!canRetry || failures === MAX_FAILURES) throw error;
      }
      const options = signal === undefined ? {} : { signal };
      const delayMs = FIRST_DELAY_MS * 2 ** failures * (0.5 + Math.random() / 2);
      await sleep(delayMs, undefined, options).catch((error: unknown) => {
        signal?.throwIfAborted();
        throw error;
      });
    }
  }
}

function wrongRange(response: HttpResponse): ImageError {
  return new ImageError(
    "IMAGE_SOURCE_INVALID",
    `${redactUrl(response.url)} sends another part of the file than was asked for`,
  );
}

function discard(response: HttpResponse): void {
  response.body.on("error", () => {}).destroy();
}
