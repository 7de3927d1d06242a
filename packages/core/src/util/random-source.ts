/** Where core takes chance from, so that a run can be repeated from a seed. */
export interface RandomSource {
  /** `count` random bytes. */
  bytes(count: number): Uint8Array;
}

/** A random UUID. Source: RFC 9562, section 5.4 (version 4). */
export function randomUuid(random: RandomSource): string {
  const bytes = random.bytes(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

/** The letters that Kubernetes uses for generated names: no vowels, so that no words appear. */
const NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789";

/** A five-letter suffix for `metadata.generateName`. */
export function randomNameSuffix(random: RandomSource): string {
  return Array.from(random.bytes(5), (byte) => NAME_LETTERS[byte % NAME_LETTERS.length]).join("");
}
