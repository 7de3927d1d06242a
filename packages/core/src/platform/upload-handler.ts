import type { IncomingMessage, ServerResponse } from "node:http";
import { isPolyvisorError, messageOf, type PolyvisorErrorCode } from "../util/errors.ts";
import type { Platform } from "./platform.ts";

const STATUS: Readonly<Partial<Record<PolyvisorErrorCode, number>>> = {
  POLYVISOR_NOT_FOUND: 404,
  POLYVISOR_CONFLICT: 409,
  POLYVISOR_CLOSED: 503,
};

/**
 * Serves the upload addresses of images and disks: `PUT` or `POST` of a file to `/upload/<token>`, as `curl -T` does it.
 * To be given to an HTTP server, or called by one's own for paths that begin with `/upload/`. The answer comes when the
 * file was imported: 200, or 404, 405, 409 or 400 with the reason as text.
 */
export function uploadHandler(
  platform: Pick<Platform, "receiveUpload">,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const answer = (status: number, text: string): void => {
      // What is left of a file that was refused is not waited for.
      if (!request.complete) response.setHeader("connection", "close");
      response.statusCode = status;
      response.setHeader("content-type", "text/plain; charset=utf-8");
      response.end(`${text}\n`);
    };
    const token = /^\/upload\/([A-Za-z0-9]+)$/.exec(request.url?.split("?")[0] ?? "")?.[1];
    if (token === undefined) return answer(404, "there is nothing at this address");
    if (request.method !== "PUT" && request.method !== "POST") {
      response.setHeader("allow", "PUT, POST");
      return answer(405, "send the file with PUT");
    }
    const length = Number(request.headers["content-length"]);
    const size = Number.isSafeInteger(length) && length > 0 ? { sizeBytes: length } : {};
    try {
      await platform.receiveUpload(token, { content: request, ...size });
      answer(200, "imported");
    } catch (error) {
      const code = isPolyvisorError(error) ? error.code : undefined;
      answer((code && STATUS[code]) ?? 400, messageOf(error));
    }
  };
}
