/** Says in a few words what bytes look like that no detector recognised. */
export function describeContent(head: Buffer): string {
  if (head.length === 0) return "empty";
  if (head.every((byte) => byte === 0)) return "only zeros";
  const text = head.subarray(0, 4096);
  const isText = text.every((byte) => byte >= 0x20 || (byte >= 0x08 && byte <= 0x0d));
  if (!isText) return "unknown binary data without a partition table or file system";
  const start = text.toString("utf8").trimStart().slice(0, 64).toLowerCase();
  if (start.startsWith("<!doctype html") || start.startsWith("<html")) return "an HTML page";
  if (start.startsWith("<")) return "an XML or HTML document";
  if (start.startsWith("{") || start.startsWith("[")) return "a JSON document";
  return "text";
}
