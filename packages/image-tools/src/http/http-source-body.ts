import { setTimeout as sleep } from "node:timers/promises";
import { ImageError, isImageError } from "../image-error.ts";
import type { ChecksumVerifier } from "./checksum.ts";
import { continuesAt, type ResumeValidator } from "./http-resume.ts";
import { ProgressMeter, type DownloadProgress } from "./progress-meter.ts";
import { sendRequest, type HttpResponse, type RequestSettings } from "./send-request.ts";
import { guardStall } from "./stall-guard.ts";

const MAX_RESUMES = 100;
const MAX_RESUMES_WITHOUT_PROGRESS = 4;
const PROGRESS_BYTES = 1024 * 1024;
const FIRST_RESUME_DELAY_MS = 100;

/** What an {@link HttpSourceBody} reads and verifies. */
export interface HttpSourceBodyInput {
  readonly response: HttpResponse;
  readonly start: URL;
  readonly settings: RequestSettings;
  readonly location: string;
  readonly totalBytes: number | undefined;
  readonly maxBytes: number;
  readonly validator: ResumeValidator | undefined;
  readonly verifier: ChecksumVerifier;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

/** Reads one body over as many connections as it takes. */
export class HttpSourceBody {
  readonly #input: HttpSourceBodyInput;
  readonly #meter: ProgressMeter;
  #receivedBytes = 0;
  #resumes = 0;
  #resumesWithoutProgress = 0;
  #receivedAtResume = 0;

  constructor(input: HttpSourceBodyInput) {
    this.#input = input;
    this.#meter = new ProgressMeter(input.totalBytes, (progress) => input.onProgress?.(progress));
  }

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    const { verifier, location } = this.#input;
    let response = this.#input.response;
    for (;;) {
      const failure = yield* this.#readResponse(response);
      if (failure === undefined) break;
      response = await this.#resume(failure.cause);
    }
    this.#meter.finish();
    verifier.verify(location);
  }

  /** Yields what arrives; returns the failure when the connection broke. */
  async *#readResponse(
    response: HttpResponse,
  ): AsyncGenerator<Uint8Array, { readonly cause: unknown } | undefined, void> {
    const { settings, totalBytes, location } = this.#input;
    const iterator = response.body[Symbol.asyncIterator]();
    try {
      for (;;) {
        const step = await guardStall(
          () => iterator.next() as Promise<IteratorResult<Uint8Array>>,
          settings.stallTimeoutMs,
          settings.signal,
        );
        if (step.done === true) break;
        this.#accept(step.value);
        yield step.value;
      }
    } catch (error) {
      settings.signal?.throwIfAborted();
      if (isImageError(error, "IMAGE_SOURCE_STALLED")) {
        throw new ImageError(error.code, `${location}: ${error.message}`, { cause: error });
      }
      if (isImageError(error)) throw error;
      return { cause: error };
    } finally {
      response.body.on("error", () => {}).destroy();
    }
    return totalBytes === undefined || this.#receivedBytes === totalBytes
      ? undefined
      : { cause: undefined };
  }

  #accept(chunk: Uint8Array): void {
    const { maxBytes, totalBytes, location, verifier } = this.#input;
    this.#receivedBytes += chunk.length;
    if (this.#receivedBytes > Math.min(maxBytes, totalBytes ?? Infinity)) {
      throw new ImageError("IMAGE_TOO_LARGE", `${location} sends more bytes than allowed`);
    }
    verifier.update(chunk);
    this.#meter.add(chunk.length);
  }

  async #resume(cause: unknown): Promise<HttpResponse> {
    const { validator, start, settings, totalBytes } = this.#input;
    if (validator === undefined) {
      throw this.#truncated("the server does not let it be continued", cause);
    }
    if (this.#receivedBytes - this.#receivedAtResume >= PROGRESS_BYTES) {
      this.#resumesWithoutProgress = 0;
    }
    this.#receivedAtResume = this.#receivedBytes;
    const sleepOptions = settings.signal === undefined ? {} : { signal: settings.signal };
    for (;;) {
      this.#resumes += 1;
      this.#resumesWithoutProgress += 1;
      if (
        this.#resumes > MAX_RESUMES ||
        this.#resumesWithoutProgress > MAX_RESUMES_WITHOUT_PROGRESS
      ) {
        throw this.#truncated("continuing it failed again and again", cause);
      }
      const delayMs = FIRST_RESUME_DELAY_MS * 2 ** (this.#resumesWithoutProgress - 1);
      await sleep(delayMs, undefined, sleepOptions).catch((error: unknown) => {
        settings.signal?.throwIfAborted();
        throw error;
      });
      const headers = {
        range: `bytes=${this.#receivedBytes}-`,
        "if-range": validator.ifRange,
      };
      let response: HttpResponse;
      try {
        response = await sendRequest(start, headers, settings);
      } catch (error) {
        if (isImageError(error) && error.retryable) continue;
        throw error;
      }
      if (continuesAt(response, this.#receivedBytes, totalBytes, validator)) return response;
      response.body.on("error", () => {}).destroy();
      throw this.#truncated("the server's file has changed or cannot be continued", cause);
    }
  }

  #truncated(reason: string, cause: unknown): ImageError {
    const { totalBytes, location } = this.#input;
    const total = totalBytes === undefined ? "" : ` of ${totalBytes}`;
    return new ImageError(
      "IMAGE_SOURCE_TRUNCATED",
      `the connection to ${location} ended after ${this.#receivedBytes}${total} bytes; ${reason}`,
      { cause },
    );
  }
}
