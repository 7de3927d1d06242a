/** Keeps the most recently used buffers, by number, up to a number of bytes but at least one. */
export class ByteCache {
  readonly #maxBytes: number;
  readonly #entries = new Map<number, Promise<Buffer>>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The buffer of `key`; loads it where it is not kept, once for calls at the same time. */
  async get(key: number, load: () => Promise<Buffer>): Promise<Buffer> {
    const kept = this.#entries.get(key);
    if (kept !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, kept);
      return kept;
    }
    const loading = load();
    this.#entries.set(key, loading);
    try {
      const buffer = await loading;
      this.#bytes += buffer.length;
      await this.#evict(key);
      return buffer;
    } catch (error) {
      this.#entries.delete(key);
      throw error;
    }
  }

  async #evict(newest: number): Promise<void> {
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) return;
      if (key === newest) continue;
      this.#entries.delete(key);
      // An entry that is still loading failed or counts itself later; only settled ones are counted.
      const buffer = await entry.catch(() => undefined);
      this.#bytes -= buffer?.length ?? 0;
    }
  }
}
