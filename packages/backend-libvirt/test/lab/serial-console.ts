import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A person at the serial console of a guest. */
export class SerialConsole implements Disposable {
  readonly #socket: Socket;
  #unread = "";

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1").on("data", (text: string) => {
      this.#unread += text;
    });
    socket.on("error", (error) => {
      this.#unread += `[${error.message}]`;
    });
  }

  static async connect(path: string): Promise<SerialConsole> {
    const socket = createConnection(path);
    await once(socket, "connect");
    return new SerialConsole(socket);
  }

  type(text: string): void {
    this.#socket.write(text);
  }

  /** Reads up to and with what the pattern matches. */
  async expect(pattern: RegExp, milliseconds = 20_000): Promise<string> {
    const deadline = Date.now() + milliseconds;
    for (;;) {
      const match = pattern.exec(this.#unread);
      if (match !== null) {
        const end = match.index + match[0].length;
        const read = this.#unread.slice(0, end);
        this.#unread = this.#unread.slice(end);
        return read;
      }
      if (Date.now() > deadline) {
        throw new Error(
          `The console does not show ${pattern}, but: ${JSON.stringify(this.#unread)}`,
        );
      }
      await sleep(20);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
