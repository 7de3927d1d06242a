/** What {@link describeContent} found. */
export interface ContentDescription {
  /** In a few words, as in "it is …". */
  readonly description: string;
  /** Whether it is neither text nor empty, and so may be a disk. */
  readonly isBinary: boolean;
}

/** Says in a few words what bytes look like that no detector recognised. */
export function describeContent(head: Buffer): ContentDescription {
  if (head.length === 0) return { description: "empty", isBinary: false };
  if (isAllZero(head)) return { description: "only zeros", isBinary: true };
  const text = head.subarray(0, 4096);
  const isText = text.every((byte) => byte >= 0x20 || (byte >= 0x08 && byte <= 0x0d));
  if (!isText) return { description: "unknown binary data", isBinary: true };
  const start = text.toString("utf8").trimStart().slice(0, 64).toLowerCase();
  return { description: describeText(start), isBinary: start.includes("\ufffd") };
}

/** Whether every byte is zero. */
export function isAllZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function describeText(start: string): string {
  if (start.startsWith("<!doctype html") || start.startsWith("<html")) return "an HTML page";
  if (start.startsWith("<")) return "an XML or HTML document";
  if (start.startsWith("{") || start.startsWith("[")) return "a JSON document";
  return "text";
}
