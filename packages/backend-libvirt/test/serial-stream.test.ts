import type { ByteStream } from "@polyvisor/core";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type OpenedConsole, SerialStream } from "../src/guest/serial-stream.ts";
import { RpcError } from "../src/rpc/rpc-error.ts";

const never = new AbortController().signal;
const lost = new RpcError("RPC_CONNECTION_LOST", "lost");

/** A console that prints, and ends as it is told. */
function printing(
  host: string,
  text: string,
  end?: Error | Promise<void>,
): OpenedConsole & { readonly written: string[]; isDisposed: boolean } {
  const written: string[] = [];
  const opened = {
    host,
    written,
    isDisposed: false,
    stream: {
      write: async (bytes: Uint8Array) => {
        written.push(Buffer.from(bytes).toString());
      },
      async *[Symbol.asyncIterator]() {
        yield Buffer.from(text);
        if (end instanceof Error) throw end;
        await end;
      },
      [Symbol.asyncDispose]: async () => {
        opened.isDisposed = true;
      },
    } satisfies ByteStream,
  };
  return opened;
}

async function textOf(stream: ByteStream): Promise<string> {
  let text = "";
  for await (const bytes of stream) text += Buffer.from(bytes).toString();
  return text;
}

describe("a serial console", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    vi.setTimerTickMode("nextTimerAsync");
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("goes on where its guest goes on", async () => {
    const first = printing("a", "on a, ");
    const second = printing("b", "on b");
    const left = [second, undefined];
    const asked: (string | undefined)[] = [];
    const stream = new SerialStream(
      first,
      async (except) => {
        asked.push(except);
        if (asked.length === 1) return undefined;
        return left.shift();
      },
      never,
    );
    expect(await textOf(stream)).toBe("on a, on b");
    expect(asked.slice(0, 2)).toEqual(["a", "a"]);
    expect(first.isDisposed).toBe(true);
    await stream.write(Buffer.from("x"));
    expect(second.written).toEqual(["x"]);
  });

  it("is opened again on the same host after the connection was lost", async () => {
    const left = [printing("a", "then")];
    const asked: (string | undefined)[] = [];
    const stream = new SerialStream(
      printing("a", "first, ", lost),
      async (except) => {
        asked.push(except);
        return left.shift();
      },
      never,
    );
    expect(await textOf(stream)).toBe("first, then");
    expect(asked[0]).toBeUndefined();
    expect(asked[1]).toBe("a");
  });

  it("ends with the reason when its guest runs nowhere", async () => {
    const stream = new SerialStream(printing("a", "last", lost), async () => undefined, never);
    await expect(textOf(stream)).rejects.toBe(lost);
  });

  it("ends at once when it is disposed of", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stream = new SerialStream(printing("a", "text", promise), async () => undefined, never);
    const text = textOf(stream);
    await stream[Symbol.asyncDispose]();
    resolve();
    expect(await text).toBe("text");
  });
});
