import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeRawFrame, FrameDecoder, messageType, type Frame } from "../../src/rpc/frame.ts";
import { procedures } from "../../src/rpc/procedures.ts";

/** Where a connection is cut: before the daemon sees a call, after it has done it, or in the middle of its stream. */
export type CutPoint = "before" | "after" | "stream";

const address = (program: number, number: number): string => `${program}/${number}`;
/** Names of procedures by their addresses on the wire. */
const NAMES = new Map(
  Object.values(procedures).map(({ program, number, name }) => [address(program, number), name]),
);

/** Stands between a client and a daemon and cuts every connection of the client when told to. */
export class CuttingProxy implements AsyncDisposable {
  readonly socketPath: string = join(tmpdir(), `pv-proxy-${randomUUID().slice(0, 8)}.sock`);
  /** Procedures that were called, in the order of their first calls. */
  readonly seen: Set<string> = new Set();
  /** How often a cut was made. */
  cuts = 0;
  readonly #target: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #next: { readonly procedure: string; readonly point: CutPoint } | undefined;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((client) => this.#serve(client));
  }

  static async start(target: string): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(proxy.socketPath, resolve));
    return proxy;
  }

  /** Cuts all connections at the next call of a procedure. */
  cutAt(procedure: string, point: CutPoint): void {
    this.#next = { procedure, point };
  }

  /** Cuts all connections now. */
  cutNow(): void {
    this.#next = undefined;
    this.cuts += 1;
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.socketPath, { force: true });
  }

  #serve(client: Socket): void {
    const daemon = createConnection(this.#target);
    for (const socket of [client, daemon]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        client.destroy();
        daemon.destroy();
      });
    }
    const requests = new FrameDecoder();
    const replies = new FrameDecoder();
    const swallowed = new Set<number>();
    client.on("data", (chunk: Buffer) =>
      requests.push(chunk, (frame) => {
        if (this.#isCutBefore(frame, swallowed)) this.cutNow();
        else daemon.write(encodeRawFrame(frame, frame.payload));
      }),
    );
    daemon.on("data", (chunk: Buffer) =>
      replies.push(chunk, (frame) => {
        if (frame.type === messageType.reply && swallowed.has(frame.serial)) this.cutNow();
        else client.write(encodeRawFrame(frame, frame.payload));
      }),
    );
  }

  #isCutBefore(frame: Frame, swallowed: Set<number>): boolean {
    const name = NAMES.get(address(frame.program, frame.procedure));
    const next = this.#next;
    if (frame.type === messageType.call && name !== undefined) {
      this.seen.add(name);
      if (next?.procedure !== name) return false;
      if (next.point === "before") return true;
      if (next.point === "after") swallowed.add(frame.serial);
      return false;
    }
    return frame.type === messageType.stream && next?.point === "stream" && next.procedure === name;
  }
}
