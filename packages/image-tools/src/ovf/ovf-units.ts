import { ImageError } from "../image-error.ts";

const NAMED_UNITS: Readonly<Record<string, number>> = {
  byte: 1,
  bytes: 1,
  b: 1,
  kilobyte: 2 ** 10,
  kilobytes: 2 ** 10,
  kb: 2 ** 10,
  megabyte: 2 ** 20,
  megabytes: 2 ** 20,
  mb: 2 ** 20,
  gigabyte: 2 ** 30,
  gigabytes: 2 ** 30,
  gb: 2 ** 30,
  terabyte: 2 ** 40,
  terabytes: 2 ** 40,
  tb: 2 ** 40,
};

const FACTOR = /^(\d{1,6})(?:\^(\d{1,3}))?$/;

/**
 * Bytes of one programmatic unit: `byte * 2^30`, `byte*1024`, or a name of older versions such as
 * `MegaBytes`, which stands for a power of 2.
 *
 * @throws ImageError `IMAGE_CORRUPT` for anything else.
 * @see DSP0004, annex C, "Programmatic Units"
 */
export function unitBytes(units: string): number {
  const [name = "", ...factors] = units.replaceAll(/\s+/g, "").toLowerCase().split("*");
  let bytes = Object.hasOwn(NAMED_UNITS, name) ? (NAMED_UNITS[name] as number) : Number.NaN;
  for (const factor of factors) {
    const [, base, exponent = "1"] = FACTOR.exec(factor) ?? [];
    bytes *= base === undefined ? Number.NaN : Number(base) ** Number(exponent);
  }
  if (!(bytes > 0)) {
    throw new ImageError("IMAGE_CORRUPT", `the OVF descriptor has an unknown unit "${units}"`);
  }
  return bytes;
}

/**
 * A count of `units` in bytes.
 *
 * @throws ImageError `IMAGE_CORRUPT` for what is no count, `IMAGE_TOO_LARGE` past 2^53 bytes.
 */
export function quantityBytes(quantity: string, units: string, subject: string): number {
  const bytes = parseCount(quantity, subject) * unitBytes(units);
  if (!Number.isSafeInteger(bytes)) {
    throw new ImageError(
      "IMAGE_TOO_LARGE",
      `${subject} of the OVF descriptor is beyond all limits`,
    );
  }
  return bytes;
}

/**
 * A whole number that is not negative.
 *
 * @throws ImageError `IMAGE_CORRUPT` for anything else, `IMAGE_TOO_LARGE` past 2^53.
 */
export function parseCount(text: string, subject: string): number {
  if (!/^\d+$/.test(text.trim())) {
    throw new ImageError(
      "IMAGE_CORRUPT",
      `${subject} of the OVF descriptor is not a count: "${text}"`,
    );
  }
  const count = Number(text);
  if (!Number.isSafeInteger(count)) {
    throw new ImageError(
      "IMAGE_TOO_LARGE",
      `${subject} of the OVF descriptor is beyond all limits`,
    );
  }
  return count;
}
