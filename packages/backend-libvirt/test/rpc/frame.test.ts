import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  encodeFrame,
  encodeRawFrame,
  FrameDecoder,
  frameHeaderBytes,
  maxFrameBytes,
  messageType,
  type Frame,
} from "../../src/rpc/frame.ts";
import { isRpcError } from "../../src/rpc/rpc-error.ts";
import { failureOf } from "./support.ts";

const fields = { program: 0x2000_8086, procedure: 59, type: 1, serial: 42, status: 0 };

function decodeAll(chunks: readonly Buffer[]): Frame[] {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (const chunk of chunks) decoder.push(chunk, (frame) => frames.push(frame));
  return frames;
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let offset = 0;
  for (let index = 0; offset < bytes.length; index++) {
    const size = sizes[index % sizes.length]!;
    chunks.push(bytes.subarray(offset, offset + size));
    offset += size;
  }
  return chunks;
}

function withDescriptors(count: number, body: Buffer): Buffer {
  const payload = Buffer.alloc(4 + body.length);
  payload.writeUInt32BE(count);
  body.copy(payload, 4);
  const frame = encodeRawFrame({ ...fields, type: messageType.replyWithFds }, payload);
  return Buffer.concat([frame, Buffer.alloc(Math.min(count, 64), 0xaa)]);
}

describe("encodeFrame", () => {
  it("writes the header of the specification", () => {
    const frame = encodeFrame(fields, (writer) => writer.writeUnsignedInt(9));
    expect(frame.toString("hex")).toBe(
      "00000020" +
        "20008086" +
        "00000001" +
        "0000003b" +
        "00000001" +
        "0000002a00000000" +
        "00000009",
    );
  });

  it("refuses a message that passes the limit", () => {
    const megabyte = "x".repeat(4_194_304);
    const action = () =>
      encodeFrame(fields, (writer) => {
        for (let index = 0; index < 9; index++) writer.writeString(megabyte);
      });
    expect(action).toThrow(expect.objectContaining({ code: "RPC_INVALID_ARGUMENT" }));
  });
});

describe("FrameDecoder", () => {
  it("finds the same frames however the bytes are cut", () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 8 });
    const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(payloads, sizes, (bodies, cuts) => {
        const stream = Buffer.concat(
          bodies.map((body, serial) => encodeRawFrame({ ...fields, serial }, body)),
        );
        const frames = decodeAll(cut(stream, cuts));
        expect(frames.map((frame) => frame.serial)).toEqual(bodies.map((_body, index) => index));
        expect(frames.map((frame) => new Uint8Array(frame.payload))).toEqual(bodies);
      }),
    );
  });

  it("does not lose its place after messages with file descriptors", () => {
    const stream = Buffer.concat([
      withDescriptors(2, Buffer.from([0, 0, 0, 5])),
      encodeFrame(fields),
      withDescriptors(32, Buffer.alloc(0)),
      encodeFrame({ ...fields, serial: 43 }),
    ]);
    for (const size of [1, 3, 29, 33, 1000]) {
      const frames = decodeAll(cut(stream, [size]));
      expect(frames.map((frame) => [frame.fileDescriptors, frame.payload.length])).toEqual([
        [2, 4],
        [0, 0],
        [32, 0],
        [0, 0],
      ]);
      expect(frames[3]?.serial).toBe(43);
    }
  });

  it("rejects too many or missing descriptor counts", () => {
    const missing = encodeFrame({ ...fields, type: messageType.replyWithFds });
    for (const bytes of [withDescriptors(33, Buffer.alloc(0)), missing]) {
      expect(() => decodeAll([bytes])).toThrow(expect.objectContaining({ code: "RPC_PROTOCOL" }));
    }
  });

  it.each([0, 27, maxFrameBytes + 1, 0xffff_ffff])("rejects the length %i", (length) => {
    const bytes = Buffer.alloc(frameHeaderBytes);
    bytes.writeUInt32BE(length);
    for (const chunks of [[bytes], cut(bytes, [1])]) {
      expect(() => decodeAll(chunks)).toThrow(expect.objectContaining({ code: "RPC_PROTOCOL" }));
    }
  });

  it("holds no more memory for a giant frame than a little over what has arrived", () => {
    const decoders: FrameDecoder[] = [];
    const before = process.memoryUsage().arrayBuffers;
    for (let index = 0; index < 50; index++) {
      const start = Buffer.alloc(100);
      start.writeUInt32BE(maxFrameBytes);
      const decoder = new FrameDecoder();
      decoder.push(start, () => {});
      decoders.push(decoder);
    }
    expect(decoders).toHaveLength(50);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 1_048_576);
  });

  it("takes time in proportion to the bytes for a large frame in small chunks", () => {
    const timeFor = (size: number): number => {
      const chunks = cut(encodeRawFrame(fields, new Uint8Array(size)), [1000]);
      const start = performance.now();
      expect(decodeAll(chunks)).toHaveLength(1);
      return performance.now() - start;
    };
    timeFor(1_000_000);
    const small = Math.min(timeFor(2_000_000), timeFor(2_000_000), timeFor(2_000_000));
    const large = Math.min(timeFor(32_000_000), timeFor(32_000_000));
    expect(large).toBeLessThan(Math.max(small, 2) * 16 * 6);
  });

  it("never throws anything but a protocol error for random bytes", () => {
    const noise = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 });
    const plausible = fc
      .tuple(fc.integer({ min: 0, max: 300 }), fc.uint8Array({ maxLength: 400 }))
      .map(([length, rest]) => {
        const head = Buffer.alloc(4);
        head.writeUInt32BE(length);
        return [Buffer.concat([head, rest])];
      });
    fc.assert(
      fc.property(fc.oneof(noise, plausible), (chunks) => {
        const failure = failureOf(() => decodeAll(chunks.map((chunk) => Buffer.from(chunk))));
        expect(failure).toSatisfy(
          (error) => error === undefined || isRpcError(error, "RPC_PROTOCOL"),
        );
      }),
      { numRuns: 500 },
    );
  });
});
