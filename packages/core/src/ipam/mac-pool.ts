import { createHash } from "node:crypto";
import type { RandomSource } from "../util/random-source.ts";
import { Bitmap } from "./bitmap.ts";

const SIZE = 2 ** 24;

/**
 * The first three bytes of the MAC addresses that a platform gives out, such as `5a:1c:9e`: from the platform's identity,
 * so that two platforms on one network hardly ever have the same. Locally administered, of no group.
 */
export function platformOui(identity: string): string {
  const bytes = createHash("sha256").update(identity).digest().subarray(0, 3);
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return formatBytes(bytes);
}

/** Which MAC addresses with a platform's first three bytes are taken. Gives out free ones by chance. */
export class MacPool {
  readonly #oui: string;
  readonly #random: RandomSource;
  readonly #taken = new Bitmap(SIZE);

  constructor(oui: string, random: RandomSource) {
    this.#oui = oui;
    this.#random = random;
  }

  /** A free address, marked as taken; `undefined` when none is left. */
  allocate(): string | undefined {
    const [high = 0, middle = 0, low = 0] = this.#random.bytes(3);
    const wished = (high << 16) | (middle << 8) | low;
    const suffix = this.#taken.nextClear(wished) ?? this.#taken.nextClear(0);
    if (suffix === undefined) return undefined;
    this.#taken.set(suffix, true);
    const bytes = Uint8Array.of(suffix >>> 16, (suffix >>> 8) & 0xff, suffix & 0xff);
    return `${this.#oui}:${formatBytes(bytes)}`;
  }

  /** Marks an address as taken; one with other first bytes is ignored. */
  take(mac: string): void {
    this.#mark(mac, true);
  }

  /** Gives an address back; one with other first bytes is ignored. */
  release(mac: string): void {
    this.#mark(mac, false);
  }

  #mark(mac: string, taken: boolean): void {
    if (!mac.startsWith(`${this.#oui}:`)) return;
    this.#taken.set(Number.parseInt(mac.slice(9).replaceAll(":", ""), 16), taken);
  }
}

function formatBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}
