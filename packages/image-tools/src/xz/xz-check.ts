import { nodeCrypto, nodeZlib } from "../lazy-builtins.ts";
import { Crc64 } from "./crc64.ts";

/** How the content of a block is checked: not at all, by CRC-32, by CRC-64 or by SHA-256. */
export type XzCheck = 0 | 1 | 4 | 10;

const CHECK_BYTES: Readonly<Record<XzCheck, number>> = { 0: 0, 1: 4, 4: 8, 10: 32 };

/** Whether it is a check that can be verified. */
export function isXzCheck(check: number): check is XzCheck {
  return check in CHECK_BYTES;
}

/** Length of a check in the file. */
export function xzCheckBytes(check: XzCheck): number {
  return CHECK_BYTES[check];
}

/** Computes the check of what is added. */
export interface XzChecker {
  add(bytes: Uint8Array): void;
  digest(): Buffer;
}

/** Begins to compute a check. */
export function xzChecker(check: XzCheck): XzChecker {
  switch (check) {
    case 0:
      return { add: () => {}, digest: () => Buffer.alloc(0) };
    case 1:
      return crc32Checker();
    case 4:
      return new Crc64();
    case 10: {
      const hash = nodeCrypto().createHash("sha256");
      return { add: (bytes) => hash.update(bytes), digest: () => hash.digest() };
    }
  }
}

function crc32Checker(): XzChecker {
  let value = 0;
  return {
    add: (bytes) => {
      value = nodeZlib().crc32(bytes, value);
    },
    digest: () => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(value);
      return bytes;
    },
  };
}
