import { AsyncQueue } from "../rpc/async-queue.ts";
import { messageStatus, messageType, type Frame } from "../rpc/frame.ts";
import { wireErrorCodec, type LibvirtError } from "../rpc/libvirt-error.ts";
import { XdrReader } from "../rpc/xdr-reader.ts";
import { XdrWriter } from "../rpc/xdr-writer.ts";
import type { FakeClient } from "./fake-libvirtd-client.ts";

/** What a client sent on a stream. */
export type FakeStreamPacket =
  | { readonly type: "data"; readonly bytes: Uint8Array }
  | { readonly type: "hole"; readonly length: number }
  | { readonly type: "finish" }
  | { readonly type: "abort" };

/** The server side of a stream: iterate for the client's packets, send with the methods. */
export class FakeStream implements AsyncIterable<FakeStreamPacket> {
  readonly client: FakeClient;
  /** The call that opened the stream. */
  readonly call: Frame;
  readonly #packets = new AsyncQueue<FakeStreamPacket>();

  constructor(client: FakeClient, call: Frame) {
    this.client = client;
    this.call = call;
  }

  /** Sends data; resolves when the client's socket has room again. */
  async data(bytes: Uint8Array): Promise<void> {
    this.client.streamPacket(this.call, messageStatus.continue, bytes);
    await this.client.drained();
  }

  hole(length: number): void {
    this.client.streamHole(this.call, length);
  }

  /** Says that no more data follows. */
  endOfData(): void {
    this.client.streamPacket(this.call, messageStatus.continue);
  }

  /** Confirms the client's finish. */
  confirm(): void {
    this.client.streamPacket(this.call, messageStatus.ok);
  }

  /** Fails the stream. */
  fail(error: LibvirtError): void {
    const writer = new XdrWriter();
    wireErrorCodec.write(writer, error.fields);
    this.client.streamPacket(this.call, messageStatus.error, writer.finish());
  }

  /** Takes a packet of the client. */
  receive(frame: Frame): void {
    if (frame.type === messageType.streamHole) {
      this.#packets.push({
        type: "hole",
        length: Number(new XdrReader(frame.payload).readHyper()),
      });
    } else if (frame.status === messageStatus.continue) {
      this.#packets.push({ type: "data", bytes: frame.payload });
    } else {
      this.#packets.push({ type: frame.status === messageStatus.ok ? "finish" : "abort" });
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<FakeStreamPacket, undefined> {
    return { next: () => this.#packets.next() };
  }
}
