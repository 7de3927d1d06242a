const MAC = /^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$/;

/** A MAC address in its one form, lower case with colons; `undefined` when `text` is none. */
export function parseMac(text: string): string | undefined {
  return MAC.test(text) ? text.toLowerCase().replaceAll("-", ":") : undefined;
}
