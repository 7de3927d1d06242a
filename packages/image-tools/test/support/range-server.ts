import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** One answer to a request for a part of a file; a fault may change it before it is sent. */
interface RangeAnswer {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array;
  /** Breaks the connection after this many bytes of the body. */
  cutAfter?: number;
  /** Sends nothing more after this many bytes of the body. */
  stallAfter?: number;
}

export interface RangeServerOptions {
  readonly etag?: string;
  readonly lastModified?: string;
  /** Bytes per second and connection. */
  readonly bytesPerSecond?: number;
  /** Changes an answer; `count` is the number of the request, from 1. */
  readonly fault?: (answer: RangeAnswer, count: number, request: IncomingMessage) => void;
}

/** A listener that serves ranges of `bytes` as a web server does. */
export function serveRanges(bytes: Uint8Array, options: RangeServerOptions = {}): RequestListener {
  let count = 0;
  return (request, response) => {
    count += 1;
    const answer = answerRange(bytes, options, request);
    options.fault?.(answer, count, request);
    void send(answer, response, options.bytesPerSecond);
  };
}

function answerRange(
  bytes: Uint8Array,
  { etag, lastModified }: RangeServerOptions,
  request: IncomingMessage,
): RangeAnswer {
  const headers: Record<string, string> = { "accept-ranges": "bytes" };
  if (etag !== undefined) headers["etag"] = etag;
  if (lastModified !== undefined) headers["last-modified"] = lastModified;
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  const condition = request.headers["if-range"];
  const isFresh = condition === undefined || condition === etag || condition === lastModified;
  if (match === null || !isFresh) {
    headers["content-length"] = String(bytes.length);
    return { status: 200, headers, body: bytes };
  }
  const start = Number(match[1]);
  if (start >= bytes.length) {
    return { status: 416, headers: { "content-range": `bytes */${bytes.length}` }, body: noBytes };
  }
  const end = Math.min(Number(match[2]) + 1, bytes.length);
  headers["content-range"] = `bytes ${start}-${end - 1}/${bytes.length}`;
  headers["content-length"] = String(end - start);
  return { status: 206, headers, body: bytes.subarray(start, end) };
}

const noBytes = new Uint8Array();

async function send(
  answer: RangeAnswer,
  response: ServerResponse,
  bytesPerSecond: number | undefined,
): Promise<void> {
  response.writeHead(answer.status, answer.headers);
  response.flushHeaders();
  const { body, cutAfter, stallAfter } = answer;
  if (cutAfter !== undefined) {
    response.write(body.subarray(0, cutAfter), () => setTimeout(() => response.destroy(), 20));
  } else if (stallAfter !== undefined) {
    response.write(body.subarray(0, stallAfter));
  } else if (bytesPerSecond === undefined) {
    response.end(body);
  } else {
    const stepBytes = 64 * 1024;
    const started = performance.now();
    for (let at = 0; at < body.length && response.writable; at += stepBytes) {
      response.write(body.subarray(at, at + stepBytes));
      const due = started + ((at + stepBytes) / bytesPerSecond) * 1000;
      await sleep(Math.max(0, due - performance.now()));
    }
    response.end();
  }
}
