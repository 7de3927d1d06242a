import { BoundedChannel, type ByteStream, PolyvisorError } from "@polyvisor/core";

const WIDTH = 640;
const HEIGHT = 400;

/** Lengths of the client's messages by type, for those that always have the same. Source: RFC 6143, section 7.5. */
const CLIENT_MESSAGES: Readonly<Record<number, number>> = { 0: 20, 3: 10, 4: 8, 5: 6 };

/** A guest's screen over the RFB protocol, version 3.8 without password (RFC 6143): it shows one dark colour. */
export class GuestScreen implements ByteStream {
  readonly #title: string;
  readonly #output = new BoundedChannel<Uint8Array>({
    capacity: 100,
    onOverflow: () => new PolyvisorError("POLYVISOR_EXHAUSTED", "nobody reads the screen"),
  });
  #input: Buffer = Buffer.alloc(0);
  #step: "version" | "security" | "init" | "messages" = "version";

  constructor(title: string) {
    this.#title = title;
    this.#output.push(Buffer.from("RFB 003.008\n"));
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#input = Buffer.concat([this.#input, bytes]);
    while (this.#answer());
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this.#output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#output.end();
  }

  /** Answers one message of the client; false when there is no whole one. */
  #answer(): boolean {
    switch (this.#step) {
      case "version":
        if (!this.#take(12)) return false;
        this.#step = "security";
        // One type of security: none.
        this.#output.push(Buffer.of(1, 1));
        return true;
      case "security":
        if (!this.#take(1)) return false;
        this.#step = "init";
        this.#output.push(Buffer.alloc(4));
        return true;
      case "init":
        if (!this.#take(1)) return false;
        this.#step = "messages";
        this.#output.push(this.#serverInit());
        return true;
      case "messages":
        return this.#answerMessage();
    }
  }

  #answerMessage(): boolean {
    const [type] = this.#input;
    if (type === undefined) return false;
    if (type === 2) {
      return (
        this.#input.length >= 4 && this.#take(4 + 4 * this.#input.readUInt16BE(2)) !== undefined
      );
    }
    if (type === 6) {
      return this.#input.length >= 8 && this.#take(8 + this.#input.readUInt32BE(4)) !== undefined;
    }
    const length = CLIENT_MESSAGES[type];
    if (length === undefined) {
      this.#output.end(new PolyvisorError("POLYVISOR_INVALID", `unknown RFB message ${type}`));
      this.#input = Buffer.alloc(0);
      return false;
    }
    if (!this.#take(length)) return false;
    if (type === 3) this.#output.push(picture());
    return true;
  }

  #take(length: number): Buffer | undefined {
    if (this.#input.length < length) return undefined;
    const taken = this.#input.subarray(0, length);
    this.#input = this.#input.subarray(length);
    return taken;
  }

  #serverInit(): Buffer {
    const name = Buffer.from(this.#title);
    const head = Buffer.alloc(24);
    head.writeUInt16BE(WIDTH, 0);
    head.writeUInt16BE(HEIGHT, 2);
    // 32 bits a pixel, depth 24, little-endian, true colour, eight bits for each of red, green and blue.
    head.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0], 4);
    head.writeUInt32BE(name.length, 20);
    return Buffer.concat([head, name]);
  }
}

/** A FramebufferUpdate of the whole screen in raw encoding. */
function picture(): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt16BE(1, 2);
  head.writeUInt16BE(WIDTH, 8);
  head.writeUInt16BE(HEIGHT, 10);
  return Buffer.concat([head, Buffer.alloc(WIDTH * HEIGHT * 4, 0x20)]);
}
