import { type ByteStream, type Consoles, type GuestRef, PolyvisorError } from "@polyvisor/core";
import type { HostSet } from "../host/host-set.ts";
import type { HostDomain, LibvirtHost } from "../host/libvirt-host.ts";
import { translated } from "../host/translate-error.ts";
import { openConsole } from "../rpc/console-stream.ts";
import { procedures } from "../rpc/procedures.ts";
import { ppmToPng } from "./ppm-to-png.ts";
import { findRunning } from "./running-guest.ts";
import { type ReopenConsole, SerialStream } from "./serial-stream.ts";
import { openVncSocket } from "./vnc-socket.ts";

/** Bytes that a picture of a screen may have: 8192 by 8192 points. */
const MOST_PICTURE_BYTES = 3 * 8192 * 8192 + 64;

/** Consoles and pictures of guests on libvirt hosts. */
export class LibvirtConsoles implements Consoles {
  readonly #hosts: HostSet;

  constructor(hosts: HostSet) {
    this.#hosts = hosts;
  }

  /** The stream goes on after the guest was migrated, without what was written in between. */
  async openSerial(
    ref: GuestRef,
    { signal = new AbortController().signal }: { readonly signal?: AbortSignal },
  ): Promise<ByteStream> {
    const open: ReopenConsole = (except) =>
      this.#onItsHost(ref, signal, async (host, guest) =>
        host.name === except
          ? undefined
          : { host: host.name, stream: await serialPort(host, guest, signal) },
      );
    const first = await open();
    if (first) return new SerialStream(first, open, signal);
    throw notRunning();
  }

  async openVnc(
    ref: GuestRef,
    { signal = new AbortController().signal }: { readonly signal?: AbortSignal },
  ): Promise<ByteStream> {
    const stream = await this.#onItsHost(ref, signal, (host, guest) =>
      openVncSocket(host, guest, signal),
    );
    if (stream) return stream;
    throw notRunning();
  }

  /**
   * A picture of the first screen, as PNG.
   *
   * @throws `POLYVISOR_NOT_FOUND` when the guest does not run on a host that answers.
   */
  async screenshot(
    ref: GuestRef,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Uint8Array> {
    const picture = await this.#onItsHost(ref, signal, (host, guest) =>
      takePicture(host, guest, signal),
    );
    if (picture) return ppmToPng(picture);
    throw notRunning();
  }

  /** Does something on the host on which a guest runs; `undefined` when it runs on none that answers. */
  async #onItsHost<T>(
    ref: GuestRef,
    signal: AbortSignal,
    work: (host: LibvirtHost, guest: HostDomain) => Promise<T>,
  ): Promise<T | undefined> {
    for (const host of this.#hosts.all().filter(({ isReachable }) => isReachable)) {
      const found = await translated(host.name, () => findRunning(host, ref, signal)).catch(
        (error: unknown) => {
          signal.throwIfAborted();
          // A host that has just stopped answering is one that does not answer.
          if (error instanceof PolyvisorError) return undefined;
          throw error;
        },
      );
      if (found) return translated(host.name, () => work(host, found));
    }
    return undefined;
  }
}

async function serialPort(
  host: LibvirtHost,
  { handle: domain }: HostDomain,
  signal: AbortSignal,
): Promise<ByteStream> {
  const connection = await host.connections.dedicated({ signal });
  try {
    const console = await openConsole(connection, { domain, force: true }, { signal });
    return {
      write: (bytes) => translated(host.name, () => console.write(bytes)),
      [Symbol.asyncIterator]: () => console[Symbol.asyncIterator](),
      [Symbol.asyncDispose]: async () => {
        await console[Symbol.asyncDispose]();
        await connection.close();
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function takePicture(
  host: LibvirtHost,
  { handle: domain }: HostDomain,
  signal: AbortSignal,
): Promise<Uint8Array> {
  await using connection = await host.connections.dedicated({ signal });
  await using stream = await connection.openStream(
    procedures.domainScreenshot,
    { domain, screen: 0, flags: 0 },
    { signal },
  );
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const item of stream) {
    if (item.type !== "data") continue;
    length += item.bytes.length;
    if (length > MOST_PICTURE_BYTES) {
      throw new PolyvisorError("POLYVISOR_REFUSED", "the picture of the screen is too large");
    }
    chunks.push(item.bytes);
  }
  await stream.finish();
  return Buffer.concat(chunks);
}

function notRunning(): PolyvisorError {
  return new PolyvisorError("POLYVISOR_NOT_FOUND", "the guest does not run on a host that answers");
}
