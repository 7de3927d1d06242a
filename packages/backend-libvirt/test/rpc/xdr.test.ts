import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { isRpcError } from "../../src/rpc/rpc-error.ts";
import { XdrReader } from "../../src/rpc/xdr-reader.ts";
import { XdrWriter } from "../../src/rpc/xdr-writer.ts";
import { failureOf } from "./support.ts";

function written(write: (writer: XdrWriter) => void): Buffer {
  const writer = new XdrWriter(8);
  write(writer);
  return writer.finish();
}

function codeOf(action: () => unknown): string {
  const failure = failureOf(action);
  return isRpcError(failure) ? failure.code : String(failure);
}

function thirtyTwo(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

describe("the wire format", () => {
  it("writes strings with their length and zero padding", () => {
    expect(written((writer) => writer.writeString("hello")).toString("hex")).toBe(
      "0000000568656c6c6f000000",
    );
  });

  it("writes four bytes per element of a character array", () => {
    const bytes = written((writer) => writer.writeCharArray("kvm", 4));
    expect(bytes.toString("hex")).toBe("0000006b000000760000006d00000000");
    expect(new XdrReader(bytes).readCharArray(4)).toBe("kvm");
  });

  it("writes a list of characters as C makes integers of them", () => {
    const bytes = written((writer) => writer.writeCharList(Buffer.from([0x6b, 0xff]), 2));
    expect(bytes.toString("hex")).toBe("000000020000006bffffffff");
    expect(new XdrReader(bytes).readCharList(2)).toEqual(new Uint8Array([0x6b, 0xff]));
    expect(codeOf(() => new XdrReader(bytes).readCharList(1))).toBe("RPC_PROTOCOL");
    expect(codeOf(() => new XdrReader(bytes.subarray(0, 8)).readCharList(2))).toBe("RPC_PROTOCOL");
    expect(codeOf(() => written((writer) => writer.writeCharList(Buffer.alloc(3), 2)))).toBe(
      "RPC_INVALID_ARGUMENT",
    );
  });

  it("reads 64-bit integers as a number exactly while they are safe", () => {
    const values = [
      [2n ** 53n - 1n, Number.MAX_SAFE_INTEGER],
      [2n ** 53n, 2n ** 53n],
      [2n ** 64n - 1n, 2n ** 64n - 1n],
    ] as const;
    for (const [wide, read] of values) {
      const bytes = written((writer) => writer.writeUnsignedHyper(wide));
      expect(new XdrReader(bytes).readUnsignedHyper()).toBe(read);
    }
    const lowest = written((writer) => writer.writeHyper(-(2n ** 63n)));
    expect(new XdrReader(lowest).readHyper()).toBe(-(2n ** 63n));
    const safe = written((writer) => writer.writeHyper(Number.MIN_SAFE_INTEGER));
    expect(new XdrReader(safe).readHyper()).toBe(Number.MIN_SAFE_INTEGER);
  });

  it("replaces invalid UTF-8 instead of failing", () => {
    const bytes = Buffer.from([0, 0, 0, 1, 0xff, 0, 0, 0]);
    expect(new XdrReader(bytes).readString()).toBe("\ufffd");
  });

  it("keeps repeated names apart from those they collide with", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 60 }), { maxLength: 200 }), (names) => {
        const plain = names.map((name) => name.replaceAll("\0", ""));
        const bytes = written((writer) => plain.forEach((name) => writer.writeString(name)));
        const reader = new XdrReader(bytes);
        expect(plain.map(() => reader.readName())).toEqual(
          plain.map((name) => Buffer.from(name).toString()),
        );
      }),
    );
  });
});

describe("round trips", () => {
  it("returns what was written", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.double(),
        fc.string({ unit: "binary" }).map((text) => text.replaceAll("\0", "")),
        fc.uint8Array({ maxLength: 100 }),
        fc.uuid(),
        (int, uint, hyper, unsignedHyper, double, text, opaque, uuid) => {
          const bytes = written((writer) => {
            writer.writeInt(int);
            writer.writeUnsignedInt(uint);
            writer.writeHyper(hyper);
            writer.writeUnsignedHyper(unsignedHyper);
            writer.writeDouble(double);
            writer.writeString(text);
            writer.writeOpaque(opaque, 100);
            writer.writeUuid(uuid);
          });
          expect(bytes.length % 4).toBe(0);
          const reader = new XdrReader(bytes);
          expect(reader.readInt()).toBe(int);
          expect(reader.readUnsignedInt()).toBe(uint);
          expect(BigInt(reader.readHyper())).toBe(hyper);
          expect(BigInt(reader.readUnsignedHyper())).toBe(unsignedHyper);
          expect(reader.readDouble()).toBe(double);
          expect(reader.readString()).toBe(text);
          expect(reader.readOpaque(100)).toEqual(opaque);
          expect(reader.readUuid()).toBe(uuid);
          expect(reader.remaining).toBe(0);
        },
      ),
    );
  });
});

describe("limits", () => {
  it("rejects lengths over the limit before looking at the bytes", () => {
    expect(codeOf(() => new XdrReader(thirtyTwo(4_194_305)).readString())).toBe("RPC_PROTOCOL");
    expect(codeOf(() => new XdrReader(thirtyTwo(17)).readOpaque(16))).toBe("RPC_PROTOCOL");
    expect(codeOf(() => new XdrReader(thirtyTwo(300_000)).readListLength())).toBe("RPC_PROTOCOL");
  });

  it("rejects a list that cannot fit in the bytes that are left", () => {
    expect(codeOf(() => new XdrReader(thirtyTwo(16_384)).readListLength(16_384))).toBe(
      "RPC_PROTOCOL",
    );
  });

  it("rejects messages that end early or late", () => {
    expect(codeOf(() => new XdrReader(Buffer.alloc(3)).readInt())).toBe("RPC_PROTOCOL");
    expect(codeOf(() => new XdrReader(thirtyTwo(4)).readString())).toBe("RPC_PROTOCOL");
    expect(codeOf(() => new XdrReader(Buffer.alloc(1)).expectEnd())).toBe("RPC_PROTOCOL");
  });

  it.each<[string, (writer: XdrWriter) => void]>([
    ["an integer that is too large", (writer) => writer.writeInt(2 ** 31)],
    ["a fraction", (writer) => writer.writeUnsignedInt(1.5)],
    ["a negative unsigned integer", (writer) => writer.writeUnsignedHyper(-1)],
    ["an unsafe number", (writer) => writer.writeHyper(2 ** 60)],
    ["a string of 4 MiB and one byte", (writer) => writer.writeString("x".repeat(4_194_305))],
    ["a string with NUL", (writer) => writer.writeString("a\0b")],
    ["a UUID that is none", (writer) => writer.writeUuid("no")],
    ["opaque data over its limit", (writer) => writer.writeOpaque(new Uint8Array(5), 4)],
    ["a character array over its size", (writer) => writer.writeCharArray("toolong", 3)],
    ["a list over its limit", (writer) => writer.writeListLength(5, 4)],
  ])("refuses to write %s", (_what, write) => {
    expect(codeOf(() => written(write))).toBe("RPC_INVALID_ARGUMENT");
  });
});
