import type { LibvirtConnection } from "./connection.ts";
import { procedures } from "./procedures.ts";
import type { RpcStream } from "./stream.ts";
import type { DomainHandle } from "./struct-layouts.ts";

const forceFlag = 1;
const safeFlag = 2;

/** Which console to open. */
export interface ConsoleTarget {
  readonly domain: DomainHandle;
  /** Alias of a console, serial or parallel device; default the first console or serial device. */
  readonly deviceName?: string | undefined;
  /** Disconnect whoever has the console open; default false, then opening fails while in use. */
  readonly force?: boolean | undefined;
  /** Open only when the driver can guarantee that nobody else has it open; default false. */
  readonly safe?: boolean | undefined;
}

/** Options of {@link openConsole}. */
export interface OpenConsoleOptions {
  /** Closes the console. */
  readonly signal?: AbortSignal | undefined;
}

/** A domain's console: iterate for its output, write to type into it, dispose to leave it. */
export interface ConsoleStream extends AsyncIterable<Uint8Array>, AsyncDisposable {
  /** Types bytes into the console; waits while the socket's buffer is full. */
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * Opens the console of a running domain (virDomainOpenConsole).
 *
 * The output ends when the domain stops. Use a dedicated connection for a consumer that may be
 * slow.
 *
 * @throws LibvirtError when the domain does not run or has no such console.
 */
export async function openConsole(
  connection: LibvirtConnection,
  { domain, deviceName, force = false, safe = false }: ConsoleTarget,
  { signal }: OpenConsoleOptions = {},
): Promise<ConsoleStream> {
  const stream = await connection.openStream(
    procedures.domainOpenConsole,
    { domain, deviceName, flags: (force ? forceFlag : 0) | (safe ? safeFlag : 0) },
    { signal },
  );
  return {
    write: (bytes) => stream.send(bytes),
    [Symbol.asyncIterator]: () => consoleOutput(stream),
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  };
}

async function* consoleOutput(stream: RpcStream): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const item of stream) {
    if (item.type === "data") yield item.bytes;
  }
  await stream[Symbol.asyncDispose]();
}
