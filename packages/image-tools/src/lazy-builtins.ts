// Modules of Node that take some milliseconds to load, and that many uses of this package do without.
import type * as NodeCrypto from "node:crypto";
import type * as NodeZlib from "node:zlib";

let crypto: typeof NodeCrypto | undefined;
let zlib: typeof NodeZlib | undefined;

/** `node:crypto`, loaded when it is first asked for. */
export const nodeCrypto = (): typeof NodeCrypto =>
  (crypto ??= process.getBuiltinModule("node:crypto"));

/** `node:zlib`, loaded when it is first asked for. */
export const nodeZlib = (): typeof NodeZlib => (zlib ??= process.getBuiltinModule("node:zlib"));
