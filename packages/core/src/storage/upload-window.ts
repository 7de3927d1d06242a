import type { RandomSource } from "../util/random-source.ts";

/** An upload must begin so many milliseconds after it was asked for. Source: DVP. */
const UPLOAD_WINDOW = 600_000;

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const TIME_DIGITS = 9;
const TOKEN_LENGTH = 32;

/**
 * The secret part of an upload address: the time at which it was made, and 23 letters and digits by chance. So the time
 * is as durable as the address.
 */
export function makeUploadToken(now: number, random: RandomSource): string {
  const time = Math.floor(now).toString(36).padStart(TIME_DIGITS, "0");
  // Of 256 values the first 248 are used, which are the same number for each letter.
  const letters: string[] = [];
  while (letters.length < TOKEN_LENGTH - TIME_DIGITS) {
    for (const byte of random.bytes(TOKEN_LENGTH)) {
      const letter = byte < 248 ? LETTERS[byte % LETTERS.length] : undefined;
      if (letter !== undefined) letters.push(letter);
    }
  }
  return time + letters.slice(0, TOKEN_LENGTH - TIME_DIGITS).join("");
}

/** When a token was made. */
function tokenTime(token: string): number {
  return Number.parseInt(token.slice(0, TIME_DIGITS), 36);
}

/** Whether an upload may still begin. */
export type UploadDecision =
  | { readonly state: "open"; readonly left: number }
  | { readonly state: "expired"; readonly message: string };

/** Judges an upload that has not begun. */
export function judgeUpload(token: string, now: number, kind: string): UploadDecision {
  const left = tokenTime(token) + UPLOAD_WINDOW - now;
  if (left > 0) return { state: "open", left };
  return {
    state: "expired",
    message: `The image was not uploaded within 10 minutes. Recreate the ${kind} to get another upload address.`,
  };
}

/** The token in an upload address. */
export function uploadTokenOf(url: string | undefined): string | undefined {
  return url === undefined ? undefined : /\/upload\/([A-Za-z0-9]+)$/.exec(url)?.[1];
}
