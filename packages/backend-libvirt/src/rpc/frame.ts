import { programVersion } from "./programs.ts";
import { RpcError } from "./rpc-error.ts";
import { XdrWriter } from "./xdr-writer.ts";

/** Message types of the wire (virnetprotocol.x `virNetMessageType`). */
export const messageType = {
  call: 0,
  reply: 1,
  message: 2,
  stream: 3,
  callWithFds: 4,
  replyWithFds: 5,
  streamHole: 6,
} as const;

/** Message states of the wire (virnetprotocol.x `virNetMessageStatus`). */
export const messageStatus = { ok: 0, error: 1, continue: 2 } as const;

/** Length of the length word and the header together; no frame is shorter. */
export const frameHeaderBytes = 28;

/** Longest frame: 32 MiB plus its own length word (virnetprotocol.x `VIR_NET_MESSAGE_MAX`). */
export const maxFrameBytes: number = 33_554_432 + 4;

const maxFileDescriptors = 32;

/** Frames up to this length are allocated at once, longer ones grow with the bytes received. */
const eagerBytes = 1_048_576;

interface FrameHeader {
  readonly program: number;
  readonly version: number;
  readonly procedure: number;
  readonly type: number;
  readonly serial: number;
  readonly status: number;
}

/** A decoded frame. */
export interface Frame extends FrameHeader {
  /** The bytes after the header; a view that later frames never overwrite. */
  readonly payload: Buffer;
  /** How many file descriptors came along. Node.js drops them; they cannot be used. */
  readonly fileDescriptors: number;
}

/** What a frame to be sent says; the rest of the header follows from it. */
export type FrameFields = Omit<FrameHeader, "version">;

/** Offset of the serial within a frame. */
export const serialOffset = 20;

/**
 * Encodes one frame: length word, header, payload (virnetprotocol.x).
 *
 * @param writePayload - Writes the payload; nothing is written without it.
 */
export function encodeFrame(
  fields: FrameFields,
  writePayload?: (writer: XdrWriter) => void,
): Buffer {
  const writer = new XdrWriter();
  writer.reserve(frameHeaderBytes);
  writePayload?.(writer);
  const frame = writer.finish();
  checkFrameLength(frame.length, "RPC_INVALID_ARGUMENT");
  writeHeader(frame, fields);
  return frame;
}

/** Encodes one frame whose payload is raw bytes, as in a stream. */
export function encodeRawFrame(fields: FrameFields, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + payload.length);
  frame.set(payload, frameHeaderBytes);
  writeHeader(frame, fields);
  return frame;
}

function writeHeader(frame: Buffer, fields: FrameFields): void {
  frame.writeUInt32BE(frame.length, 0);
  frame.writeUInt32BE(fields.program, 4);
  frame.writeUInt32BE(programVersion, 8);
  frame.writeInt32BE(fields.procedure, 12);
  frame.writeInt32BE(fields.type, 16);
  frame.writeUInt32BE(fields.serial, serialOffset);
  frame.writeInt32BE(fields.status, 24);
}

function checkFrameLength(length: number, code: "RPC_PROTOCOL" | "RPC_INVALID_ARGUMENT"): void {
  if (length >= frameHeaderBytes && length <= maxFrameBytes) return;
  throw new RpcError(
    code,
    `A message of ${length} bytes is outside ${frameHeaderBytes} to ${maxFrameBytes}.`,
  );
}

/**
 * Cuts a byte stream into frames, whatever its chunks are.
 *
 * A frame that one chunk holds is a view of that chunk; a frame over several chunks is gathered
 * in a buffer that doubles, so that memory follows the bytes received and not the announced
 * length. The descriptor count and the dummy bytes of a message with file descriptors are taken
 * out here, so that such a message never shifts the ones after it.
 */
export class FrameDecoder {
  #partial: Buffer = Buffer.alloc(0);
  #partialLength = 0;
  #skip = 0;

  /**
   * Feeds bytes; calls `onFrame` for each frame that they complete.
   *
   * @throws RpcError `RPC_PROTOCOL` when a length is outside 28 bytes to 32 MiB; the decoder is
   * then of no further use.
   */
  push(chunk: Buffer, onFrame: (frame: Frame) => void): void {
    let offset = 0;
    while (offset < chunk.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - offset);
        this.#skip -= skipped;
        offset += skipped;
      } else if (this.#partialLength > 0) {
        offset = this.#continuePartial(chunk, offset, onFrame);
      } else {
        offset = this.#takeWhole(chunk, offset, onFrame);
      }
    }
  }

  #takeWhole(chunk: Buffer, offset: number, onFrame: (frame: Frame) => void): number {
    const available = chunk.length - offset;
    let length = 4;
    if (available >= 4) {
      length = chunk.readUInt32BE(offset);
      checkFrameLength(length, "RPC_PROTOCOL");
      if (available >= length) {
        this.#emit(chunk.subarray(offset, offset + length), onFrame);
        return offset + length;
      }
    }
    this.#append(chunk.subarray(offset), length);
    return chunk.length;
  }

  #continuePartial(chunk: Buffer, offset: number, onFrame: (frame: Frame) => void): number {
    const target = this.#partialLength < 4 ? 4 : this.#partial.readUInt32BE(0);
    const taken = Math.min(target - this.#partialLength, chunk.length - offset);
    this.#append(chunk.subarray(offset, offset + taken), target);
    if (this.#partialLength < 4) return offset + taken;
    const length = this.#partial.readUInt32BE(0);
    checkFrameLength(length, "RPC_PROTOCOL");
    if (this.#partialLength === length) {
      const frame = this.#partial.subarray(0, length);
      this.#partial = Buffer.alloc(0);
      this.#partialLength = 0;
      this.#emit(frame, onFrame);
    }
    return offset + taken;
  }

  #append(bytes: Buffer, target: number): void {
    const needed = this.#partialLength + bytes.length;
    if (needed > this.#partial.length) {
      const capacity = Math.min(target, Math.max(needed * 2, eagerBytes));
      const larger = Buffer.allocUnsafe(capacity);
      this.#partial.copy(larger, 0, 0, this.#partialLength);
      this.#partial = larger;
    }
    bytes.copy(this.#partial, this.#partialLength);
    this.#partialLength = needed;
  }

  #emit(bytes: Buffer, onFrame: (frame: Frame) => void): void {
    const type = bytes.readInt32BE(16);
    let payload = bytes.subarray(frameHeaderBytes);
    let fileDescriptors = 0;
    if (type === messageType.callWithFds || type === messageType.replyWithFds) {
      fileDescriptors = payload.length >= 4 ? payload.readUInt32BE(0) : Infinity;
      if (fileDescriptors > maxFileDescriptors) {
        throw new RpcError("RPC_PROTOCOL", "A message announces more than 32 file descriptors.");
      }
      payload = payload.subarray(4);
      this.#skip = fileDescriptors;
    }
    onFrame({
      program: bytes.readUInt32BE(4),
      version: bytes.readUInt32BE(8),
      procedure: bytes.readInt32BE(12),
      type,
      serial: bytes.readUInt32BE(serialOffset),
      status: bytes.readInt32BE(24),
      payload,
      fileDescriptors,
    });
  }
}
