import type { Socket } from "node:net";

import {
  encodeFrame,
  encodeRawFrame,
  FrameDecoder,
  messageStatus,
  messageType,
  type Frame,
} from "../rpc/frame.ts";
import { keepalivePing, keepalivePong, keepaliveProgram } from "../rpc/programs.ts";
import type { XdrWriter } from "../rpc/xdr-writer.ts";

/** What the server side of one connection tells the fake daemon. */
interface FakeClientEvents {
  onCall(client: FakeClient, frame: Frame): void;
  onStream(frame: Frame): void;
}

/** The server side of one connection, with the means to misbehave on it. */
export class FakeClient {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  /** Pings and pongs received so far. */
  readonly keepalive: { pings: number; pongs: number } = { pings: 0, pongs: 0 };
  /** Calls being handled now, and the most there ever were at once. */
  readonly calls: { active: number; most: number } = { active: 0, most: 0 };
  /** Whether pings are answered; default true. */
  answersPings = true;
  closed = false;

  constructor(socket: Socket, events: FakeClientEvents) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
    });
    socket.on("data", (chunk: Buffer) => {
      this.#decoder.push(chunk, (frame) => {
        if (frame.program === keepaliveProgram) this.#receiveKeepalive(frame);
        else if (frame.type === messageType.call) events.onCall(this, frame);
        else events.onStream(frame);
      });
    });
  }

  /** Sends bytes as they are: half a frame, a giant length, noise. */
  sendRaw(bytes: Uint8Array): void {
    if (!this.closed) this.#socket.write(bytes);
  }

  /** Answers the call of `frame`; `override` replaces header fields, as for a wrong serial. */
  reply(
    frame: Frame,
    status: number,
    write?: (writer: XdrWriter) => void,
    override: Partial<Pick<Frame, "program" | "procedure" | "serial" | "type">> = {},
  ): void {
    const { program, procedure, serial } = frame;
    this.sendRaw(
      encodeFrame(
        { program, procedure, serial, type: messageType.reply, status, ...override },
        write,
      ),
    );
  }

  /** Sends a message that answers no call. */
  message(program: number, procedure: number, write?: (writer: XdrWriter) => void): void {
    const status = messageStatus.ok;
    const type = messageType.message;
    this.sendRaw(encodeFrame({ program, procedure, type, serial: 0, status }, write));
  }

  /** Sends a packet of the stream that the call of `frame` opened. */
  streamPacket(frame: Frame, status: number, payload: Uint8Array = new Uint8Array()): void {
    const { program, procedure, serial } = frame;
    const type = messageType.stream;
    this.sendRaw(encodeRawFrame({ program, procedure, type, serial, status }, payload));
  }

  /** Sends a hole of the stream that the call of `frame` opened. */
  streamHole(frame: Frame, length: number): void {
    const { program, procedure, serial } = frame;
    const status = messageStatus.continue;
    this.sendRaw(
      encodeFrame(
        { program, procedure, type: messageType.streamHole, serial, status },
        (writer) => {
          writer.writeHyper(length);
          writer.writeUnsignedInt(0);
        },
      ),
    );
  }

  /** Pings the client `count` times in a row. */
  ping(count = 1): void {
    for (let sent = 0; sent < count; sent++) this.message(keepaliveProgram, keepalivePing);
  }

  /** Resolves once everything sent so far has left the process, or the connection is gone. */
  drained(): Promise<void> {
    if (this.closed || !this.#socket.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const onRoom = (): void => {
        this.#socket.off("drain", onRoom);
        this.#socket.off("close", onRoom);
        resolve();
      };
      this.#socket.on("drain", onRoom);
      this.#socket.on("close", onRoom);
    });
  }

  /** Stops or continues to read what the client sends. */
  setReading(reading: boolean): void {
    if (reading) this.#socket.resume();
    else this.#socket.pause();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#socket.destroy();
  }

  #receiveKeepalive(frame: Frame): void {
    if (frame.procedure === keepalivePong) {
      this.keepalive.pongs += 1;
      return;
    }
    this.keepalive.pings += 1;
    if (this.answersPings) this.message(keepaliveProgram, keepalivePong);
  }
}
