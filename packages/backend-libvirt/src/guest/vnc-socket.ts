import { type ByteStream, PolyvisorError } from "@polyvisor/core";
import type { HostDomain, LibvirtHost } from "../host/libvirt-host.ts";
import { procedures } from "../rpc/procedures.ts";
import { attributeOf, childAt, childrenOf, parseXml } from "../xml/parse-xml.ts";

/**
 * Connects to the screen of a guest: a unix socket of its host, which is reached as the daemon's own socket is.
 *
 * @throws `POLYVISOR_REFUSED` when the guest has no screen, `POLYVISOR_UNSUPPORTED` for a host behind TLS: libvirt
 *   carries no such bytes, and its ports are not opened to the network.
 */
export async function openVncSocket(
  host: LibvirtHost,
  { handle: domain }: HostDomain,
  signal: AbortSignal,
): Promise<ByteStream> {
  const { xml } = await host.connections.call(
    procedures.domainGetXmlDesc,
    { domain, flags: 0 },
    { signal },
  );
  const path = vncSocketPath(xml);
  if (path === undefined) {
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `guest "${domain.name}" has no screen on a socket: it was started by somebody else, or before screens were there`,
    );
  }
  const stream = await host.connectToSocket(path, signal);
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => {
        stream.write(bytes, (error) => (error ? reject(error) : resolve()));
      }),
    [Symbol.asyncIterator]: () => stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>,
    [Symbol.asyncDispose]: () => {
      stream.destroy();
      return Promise.resolve();
    },
  };
}

/** Path on the host of the socket on which QEMU gives out the screen. */
function vncSocketPath(xml: string): string | undefined {
  const screens = childrenOf(childAt(parseXml(xml), "devices"), "graphics");
  const listeners = screens
    .filter((screen) => attributeOf(screen, "type") === "vnc")
    .flatMap((screen) => childrenOf(screen, "listen"));
  const sockets = listeners.filter((listener) => attributeOf(listener, "type") === "socket");
  return sockets.map((listener) => attributeOf(listener, "socket")).find((path) => path);
}
