import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

export interface LoopbackServer extends AsyncDisposable {
  readonly origin: string;
  /** Requests so far, with their headers. */
  readonly requests: readonly IncomingMessage[];
}

/** Serves `listener` on 127.0.0.1 until disposed; with `tls` over HTTPS as "localhost". */
export async function serveLoopback(
  listener: RequestListener,
  tls?: { readonly key: string; readonly cert: string },
): Promise<LoopbackServer> {
  const requests: IncomingMessage[] = [];
  const recording: RequestListener = (request, response) => {
    requests.push(request);
    response.on("error", () => {});
    listener(request, response);
  };
  const server = tls ? createTlsServer(tls, recording) : createServer(recording);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: tls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A listener that sends `bytes` with their length. */
export function sendBytes(bytes: Uint8Array): RequestListener {
  return (_request, response) => {
    response.setHeader("content-length", bytes.length);
    response.end(bytes);
  };
}

/** Announces all of `bytes` but breaks the connection after `sent` of them. */
export function sendCut(response: ServerResponse, bytes: Uint8Array, sent: number): void {
  response.setHeader("content-length", bytes.length);
  response.write(bytes.subarray(0, sent), () => setTimeout(() => response.destroy(), 20));
}

/** A listener that serves ranges, and breaks off each of the first `breaks` responses. */
export function sendResumable(
  bytes: Uint8Array,
  breaks: number,
  headersOf: (attempt: number) => Readonly<Record<string, string>>,
): RequestListener {
  let attempt = 0;
  return (request, response) => {
    attempt += 1;
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    const start = range === null ? 0 : Number(range[1]);
    const headers = { "accept-ranges": "bytes", ...headersOf(attempt) };
    const isValid = request.headers["if-range"] === (headersOf(attempt)["etag"] ?? "");
    const body = range !== null && isValid ? bytes.subarray(start) : bytes;
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (body !== bytes) {
      response.statusCode = 206;
      response.setHeader("content-range", `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
    }
    if (attempt <= breaks) {
      sendCut(response, body, Math.floor(body.length / 2));
    } else {
      response.setHeader("content-length", body.length);
      response.end(body);
    }
  };
}
