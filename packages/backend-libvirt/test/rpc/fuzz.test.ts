import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { events } from "../../src/rpc/event-definitions.ts";
import { encodeRawFrame, FrameDecoder, messageStatus, messageType } from "../../src/rpc/frame.ts";
import { procedures } from "../../src/rpc/procedures.ts";
import { isRpcError } from "../../src/rpc/rpc-error.ts";
import { XdrReader } from "../../src/rpc/xdr-reader.ts";
import { XdrWriter } from "../../src/rpc/xdr-writer.ts";
import { someDomain } from "./support.ts";

/** Milliseconds for each kind of attack. */
const patience = 4_000;
const limits = { interruptAfterTimeLimit: patience, numRuns: Number.MAX_SAFE_INTEGER };
const timeout = 60_000;

/** What a message is decoded by. */
type Decoder = { readonly read: (reader: XdrReader) => unknown };

const decoders: readonly Decoder[] = [
  ...Object.values(procedures).flatMap(({ argumentsCodec, resultCodec }) => [
    argumentsCodec,
    resultCodec,
  ]),
  ...Object.values(events).map(({ codec }) => codec),
];

const words = fc.array(
  fc.oneof(
    fc.integer({ min: 0, max: 8 }),
    fc.constantFrom(0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x0040_0000, 16_384, 262_144),
    fc.integer({ min: 0, max: 0xffff_ffff }),
  ),
  { maxLength: 64 },
);

function bytesOf(numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(numbers.length * 4);
  numbers.forEach((number, index) => bytes.writeUInt32BE(number, index * 4));
  return bytes;
}

/** Decodes, and fails for anything but a protocol error. */
function decode(decoder: Decoder, bytes: Buffer): void {
  try {
    const reader = new XdrReader(bytes);
    decoder.read(reader);
    reader.expectEnd();
  } catch (error) {
    if (!isRpcError(error, "RPC_PROTOCOL")) throw error;
  }
}

/** Changes, inserts, repeats and cuts bytes. */
function mutate(bytes: Buffer, edits: readonly (readonly [number, number, number])[]): Buffer {
  let result = bytes;
  for (const [kind, place, value] of edits) {
    const at = result.length === 0 ? 0 : place % result.length;
    const head = result.subarray(0, at);
    const tail = result.subarray(at);
    if (kind === 0) result = Buffer.concat([head, Buffer.from([value]), tail.subarray(1)]);
    else if (kind === 1) result = Buffer.concat([head, Buffer.from([value]), tail]);
    else if (kind === 2) result = Buffer.concat([head, tail, tail.subarray(0, 1024)]);
    else result = head;
  }
  return result;
}

const edits = fc.array(
  fc.tuple(fc.nat(3), fc.nat(0xffff), fc.nat(255)) as fc.Arbitrary<
    readonly [number, number, number]
  >,
  { minLength: 1, maxLength: 8 },
);

describe("the decoder", () => {
  it("takes any words for a message or a protocol error", { timeout }, () => {
    fc.assert(
      fc.property(fc.constantFrom(...decoders), words, (decoder, numbers) =>
        decode(decoder, bytesOf(numbers)),
      ),
      limits,
    );
  });

  it("takes damaged statistics for statistics or a protocol error", { timeout }, () => {
    const { resultCodec } = procedures.connectGetAllDomainStats;
    const writer = new XdrWriter();
    resultCodec.write(writer, {
      records: [
        {
          domain: someDomain,
          parameters: [
            { field: "state.state", type: "int", value: 1 },
            { field: "cpu.time", type: "ullong", value: 2n ** 60n },
            { field: "block.0.name", type: "string", value: "sda" },
            { field: "load", type: "double", value: 0.5 },
            { field: "flag", type: "boolean", value: true },
          ],
        },
      ],
    });
    const intact = writer.finish();
    fc.assert(
      fc.property(edits, (changes) => decode(resultCodec, mutate(intact, changes))),
      limits,
    );
  });

  it(
    "takes damaged frames for frames or a protocol error, however they arrive",
    { timeout },
    () => {
      const frame = (serial: number, payload: Buffer): Buffer =>
        encodeRawFrame(
          {
            program: procedures.connectGetHostname.program,
            procedure: procedures.connectGetHostname.number,
            type: messageType.reply,
            serial,
            status: messageStatus.ok,
          },
          payload,
        );
      const intact = Buffer.concat([frame(1, Buffer.alloc(12, 1)), frame(2, Buffer.alloc(0))]);
      fc.assert(
        fc.property(edits, fc.integer({ min: 1, max: 64 }), (changes, step) => {
          const bytes = mutate(intact, changes);
          const decoder = new FrameDecoder();
          let frames = 0;
          try {
            for (let at = 0; at < bytes.length; at += step) {
              decoder.push(bytes.subarray(at, at + step), () => {
                frames += 1;
              });
            }
          } catch (error) {
            if (!isRpcError(error, "RPC_PROTOCOL")) throw error;
          }
          expect(frames * 28).toBeLessThanOrEqual(bytes.length);
        }),
        limits,
      );
    },
  );
});
