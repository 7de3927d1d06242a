import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";

import { abortedError, RpcError } from "./rpc-error.ts";
import type { StreamFactory, TlsTransport } from "./libvirt-transport.ts";
import {
  readTlsCredentials,
  type TlsCredentialPlaces,
  type TlsCredentials,
} from "./tls-credentials.ts";

const accepted = 1;
const certificateAlert = /ALERT.*(?:CERT|UNKNOWN_CA|ACCESS_DENIED)/;

/** A factory for connections to a daemon's TLS port; see `createStreamFactory` for its errors. */
export function tlsStreamFactory(
  transport: TlsTransport,
  places?: TlsCredentialPlaces,
): StreamFactory {
  return async ({ signal }) => {
    // Read anew each time: certificates are renewed while a process runs.
    const credentials = await readTlsCredentials(transport.pkiPath, places);
    if (signal.aborted) throw abortedError("Opening the connection", signal);
    return connectTls(transport, credentials, signal);
  };
}

function connectTls(
  transport: TlsTransport,
  credentials: TlsCredentials,
  signal: AbortSignal,
): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  // Errors must not go unheard between this function and the reader of the stream.
  const socket = openSocket(transport, credentials).on("error", () => {});
  let secured = false;
  const fail = (error: RpcError): void => {
    stopWaiting();
    socket.destroy();
    reject(error);
  };
  const onAbort = (): void => fail(abortedError("Opening the connection", signal));
  const onError = (error: Error): void =>
    fail(
      secured || certificateAlert.test((error as NodeJS.ErrnoException).code ?? "")
        ? refused(transport, credentials, error)
        : unreachable(transport, credentials, socket, error),
    );
  // With TLS 1.3 this side is done before the daemon has seen the client certificate, and what it
  // thinks of it shows only here: a byte of its own when it is content, else the end.
  const onReadable = (): void => {
    if (!secured) return;
    const confirmation = socket.read(1) as Buffer | null;
    if (confirmation === null) return;
    if (confirmation[0] !== accepted) return fail(refused(transport, credentials));
    stopWaiting();
    resolve(socket);
  };
  const onSecured = (): void => {
    secured = true;
    onReadable();
  };
  const onEnd = (): void =>
    fail(
      secured
        ? refused(transport, credentials)
        : unreachable(
            transport,
            credentials,
            socket,
            new Error("it closed the connection during the TLS handshake"),
          ),
    );
  const stopWaiting = (): void => {
    signal.removeEventListener("abort", onAbort);
    socket.off("secureConnect", onSecured).off("error", onError).off("readable", onReadable);
    socket.off("end", onEnd).off("close", onEnd);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  socket.on("secureConnect", onSecured).on("error", onError).on("readable", onReadable);
  socket.on("end", onEnd).on("close", onEnd);
  return promise;
}

function openSocket({ host, port }: TlsTransport, credentials: TlsCredentials): TLSSocket {
  const { ca, caPath, crl, client, clientPath } = credentials;
  const options: ConnectionOptions = {
    host,
    port,
    ca,
    ...(crl !== undefined && { crl }),
    ...(client !== undefined && { cert: client.certificate, key: client.key }),
    // TLS has no server name indication for addresses; the certificate is checked either way.
    ...(isIP(host) === 0 && { servername: host }),
    minVersion: "TLSv1.2",
    rejectUnauthorized: true,
  };
  try {
    return connect(options).setNoDelay(true);
  } catch (error) {
    throw new RpcError(
      "RPC_CONNECT_FAILED",
      `The certificates for TLS (CA ${caPath}, client ${clientPath}) cannot be used: ` +
        `${(error as Error).message}. They must be in PEM, the key without a passphrase.`,
      { cause: error },
    );
  }
}

function refused(
  { host, port }: TlsTransport,
  { client, clientPath }: TlsCredentials,
  cause?: Error,
): RpcError {
  return new RpcError(
    "RPC_AUTHENTICATION_FAILED",
    `The libvirt daemon at ${host} port ${port} refused this client's TLS certificate: ` +
      (client === undefined
        ? `there is none at ${clientPath}.`
        : `it closed the connection after it had seen ${clientPath}. The certificate must come ` +
          "from the daemon's CA, be valid and, if the daemon lists tls_allowed_dn_list, be in it."),
    { cause },
  );
}

function unreachable(
  { host, port }: TlsTransport,
  { caPath }: TlsCredentials,
  socket: TLSSocket,
  cause: Error,
): RpcError {
  // Node.js sets it when the handshake went well and the certificate did not.
  const untrusted = Boolean(socket.authorizationError);
  return new RpcError(
    "RPC_CONNECT_FAILED",
    untrusted
      ? `The certificate of the libvirt daemon at ${host} port ${port} is not trusted: ` +
          `${cause.message}. It was checked with the CA ${caPath} and for the name "${host}".`
      : `The libvirt daemon at ${host} port ${port} could not be reached over TLS: ` +
          `${reason(cause)}. Check the name, the port, and that the daemon listens for TLS.`,
    { cause },
  );
}

function reason(error: Error): string {
  // A host with several addresses fails with one error for each and no message for all.
  if (error instanceof AggregateError && error.message === "") {
    return error.errors.map((each: Error) => each.message).join("; ");
  }
  return error.message;
}
