import type { Dispatcher } from "undici";
import { ImageError } from "../image-error.ts";
import { statusError, translateRequestError } from "./http-failure.ts";
import { redactUrl } from "./redact-url.ts";
import { guardStall } from "./stall-guard.ts";

/** How {@link sendRequest} behaves. */
export interface RequestSettings {
  readonly dispatcher: Dispatcher;
  readonly stallTimeoutMs: number;
  readonly maxRedirects: number;
  readonly signal?: AbortSignal | undefined;
  /** Sent to the first origin only; without it, user and password of the URL are. */
  readonly authorization?: string | undefined;
  /** Statuses to return besides 2xx, where the caller looks at them itself. */
  readonly acceptedStatuses?: readonly number[] | undefined;
}

/** A response and the URL that gave it. */
export interface HttpResponse {
  readonly url: URL;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Dispatcher.ResponseData["body"];
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

const COMMON_HEADERS = {
  accept: "*/*",
  "accept-encoding": "identity",
  "user-agent": "polyvisor-image-tools",
};

/**
 * Sends a GET request and follows redirects, each within the stall timeout. User and password of
 * the URL are sent to its own origin only.
 *
 * @param first - Where to begin instead of at `start`: an address that it redirected to before.
 * @throws ImageError `IMAGE_SOURCE_*`, `IMAGE_TOO_MANY_REDIRECTS`, `IMAGE_UNSAFE_REDIRECT`.
 * @see RFC 9110, section 15.4
 */
export async function sendRequest(
  start: URL,
  headers: Readonly<Record<string, string>>,
  settings: RequestSettings,
  first: URL = start,
): Promise<HttpResponse> {
  let url = first;
  for (let redirects = 0; ; redirects += 1) {
    const response = await sendOnce(url, start, headers, settings);
    const status = response.statusCode;
    if ((status >= 200 && status < 300) || settings.acceptedStatuses?.includes(status) === true) {
      return { url, status, headers: response.headers, body: response.body };
    }
    response.body.on("error", () => {}).destroy();
    const location = firstValue(response.headers["location"]);
    if (!REDIRECTS.has(status) || location === undefined) {
      throw statusError(status, redactUrl(url));
    }
    if (redirects === settings.maxRedirects) {
      throw new ImageError(
        "IMAGE_TOO_MANY_REDIRECTS",
        `${redactUrl(start)} redirects more than ${settings.maxRedirects} times`,
      );
    }
    url = resolveRedirect(url, location);
  }
}

/** The only or first value of a header. */
export function firstValue(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** The value of `Authorization` for a user and a password. @see RFC 7617 */
export function basicAuthorization(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

async function sendOnce(
  url: URL,
  start: URL,
  headers: Readonly<Record<string, string>>,
  settings: RequestSettings,
): Promise<Dispatcher.ResponseData> {
  const { dispatcher, stallTimeoutMs, signal } = settings;
  const credentials = settings.authorization ?? basicCredentials(start);
  const authorization =
    credentials !== undefined && url.origin === start.origin ? { authorization: credentials } : {};
  try {
    return await guardStall(
      (stepSignal) =>
        dispatcher.request({
          origin: url.origin,
          path: url.pathname + url.search,
          method: "GET",
          headers: { ...COMMON_HEADERS, ...authorization, ...headers },
          signal: stepSignal,
        }),
      stallTimeoutMs,
      signal,
    );
  } catch (error) {
    signal?.throwIfAborted();
    throw translateRequestError(error, redactUrl(url));
  }
}

function basicCredentials(url: URL): string | undefined {
  if (url.username === "" && url.password === "") return undefined;
  return basicAuthorization(decodeURIComponent(url.username), decodeURIComponent(url.password));
}

function resolveRedirect(from: URL, location: string): URL {
  const target = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined;
  const isHttp = target?.protocol === "https:" || target?.protocol === "http:";
  if (target === undefined || !isHttp) {
    throw new ImageError(
      "IMAGE_UNSAFE_REDIRECT",
      `${redactUrl(from)} redirects to something that is not an HTTP address`,
    );
  }
  if (from.protocol === "https:" && target.protocol === "http:") {
    throw new ImageError(
      "IMAGE_UNSAFE_REDIRECT",
      `${redactUrl(from)} redirects from https to unencrypted http at ${redactUrl(target)}`,
    );
  }
  return target;
}
