import type { UploadURLs } from "../api/virtual-disk.ts";
import type { UploadImageSource } from "../backend/image-store.ts";
import { makeUploadToken } from "../storage/upload-window.ts";
import type { Clock } from "../util/clock.ts";
import { PolyvisorError } from "../util/errors.ts";
import type { RandomSource } from "../util/random-source.ts";

/** Where uploads are served, without `/upload`. */
export interface UploadAddresses {
  /** For users, such as `https://virtualization.example.com`. */
  readonly external: string;
  /** For machines that are near. Default: the external one. */
  readonly inCluster?: string;
}

/** What somebody sends. */
export type IncomingUpload = Pick<UploadImageSource, "content" | "sizeBytes">;

/** An upload that has come in and waits to be taken. */
interface PendingUpload {
  readonly source: UploadImageSource;
  readonly done: PromiseWithResolvers<void>;
}

/**
 * Brings what comes in at an address to the resource that has given the address out. Nothing here is durable: a token is
 * in the status of its resource, and whoever looks after the resource opens it anew after a crash.
 */
export class Uploads {
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #addresses: UploadAddresses | undefined;
  /** What is to be told when something comes in, by token. */
  readonly #open = new Map<string, () => void>();
  readonly #pending = new Map<string, PendingUpload>();

  constructor(parts: {
    readonly clock: Clock;
    readonly random: RandomSource;
    readonly addresses: UploadAddresses | undefined;
  }) {
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#addresses = parts.addresses;
  }

  /** A new address; `undefined` when uploads are served nowhere. */
  makeURLs(): Required<UploadURLs> | undefined {
    if (this.#addresses === undefined) return undefined;
    const { external, inCluster = external } = this.#addresses;
    const path = `/upload/${makeUploadToken(this.#clock.now(), this.#random)}`;
    const join = (base: string): string => base.replace(/\/+$/, "") + path;
    return { external: join(external), inCluster: join(inCluster) };
  }

  /** Lets something come in; `notify` is called when that happens. May be repeated. */
  open(token: string, notify: () => void): void {
    this.#open.set(token, notify);
  }

  /** What has come in, to be taken as an image source. */
  pending(token: string): UploadImageSource | undefined {
    return this.#pending.get(token)?.source;
  }

  /** Lets nothing come in any more, and says to who has sent something how it went. */
  settle(ended: { readonly token: string; readonly error?: unknown } | undefined): void {
    if (ended === undefined) return;
    const { token, error } = ended;
    this.#open.delete(token);
    const pending = this.#pending.get(token);
    this.#pending.delete(token);
    if (error === undefined) pending?.done.resolve();
    else pending?.done.reject(error as Error);
  }

  /**
   * Takes what somebody sends, and resolves when it is an image.
   *
   * @throws `POLYVISOR_NOT_FOUND` when nothing waits for it, `POLYVISOR_CONFLICT` when it is being sent already, or what
   *   the image store says against it.
   */
  async receive(token: string, upload: IncomingUpload): Promise<void> {
    const notify = this.#open.get(token);
    if (notify === undefined) {
      throw new PolyvisorError(
        "POLYVISOR_NOT_FOUND",
        "nothing waits for an upload at this address: it was used, or has expired",
      );
    }
    if (this.#pending.has(token)) {
      throw new PolyvisorError("POLYVISOR_CONFLICT", "something is being uploaded there already");
    }
    const done = Promise.withResolvers<void>();
    const source: UploadImageSource = { type: "upload", id: token, ...upload };
    this.#pending.set(token, { source, done });
    notify();
    await done.promise;
  }

  /** Lets nothing come in any more, and gives up what is coming in. */
  close(): void {
    const closed = new PolyvisorError(
      "POLYVISOR_CLOSED",
      "the platform was closed before the upload was imported: send it again when the platform runs",
    );
    for (const token of this.#pending.keys()) this.settle({ token, error: closed });
    this.#open.clear();
  }
}
