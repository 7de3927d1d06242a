import { ImageError } from "../image-error.ts";
import {
  basicAuthorization,
  firstValue,
  sendRequest,
  type HttpResponse,
  type RequestSettings,
} from "../http/send-request.ts";
import { collectDocument } from "./oci-descriptor.ts";
import type { RegistryCredentials } from "./pull-secret.ts";

/**
 * Answers the challenge of a registry: gives the value of `Authorization` for further requests.
 * User and password go to the registry itself, or to the token service that it names, over https
 * if the registry itself is spoken to over https.
 *
 * @throws ImageError `IMAGE_SOURCE_STATUS` when there are no credentials or they are refused,
 * `IMAGE_SOURCE_INVALID` for a challenge or token that makes no sense, `IMAGE_UNSAFE_REDIRECT` for
 * a token service without encryption.
 * @see RFC 9110, section 11; Docker Registry v2 authentication via central service
 */
export async function authorize(
  response: HttpResponse,
  credentials: RegistryCredentials | undefined,
  settings: RequestSettings,
  scope: string,
): Promise<string> {
  const challenge = firstValue(response.headers["www-authenticate"]) ?? "";
  const host = response.url.host;
  const [, scheme = "", rest = ""] = /^(\w+)\s*(.*)$/.exec(challenge) ?? [];
  const basic = credentials && basicAuthorization(credentials.username, credentials.password);
  if (scheme.toLowerCase() === "basic") {
    if (basic !== undefined) return basic;
    throw new ImageError("IMAGE_SOURCE_STATUS", `registry ${host} wants a user and a password`);
  }
  if (scheme.toLowerCase() !== "bearer") {
    throw new ImageError("IMAGE_SOURCE_INVALID", `registry ${host} asks for an unknown login`);
  }
  const parameters = new Map<string, string>();
  for (const [, key = "", value = ""] of rest.matchAll(/(\w+)="([^"]*)"/g)) {
    parameters.set(key.toLowerCase(), value);
  }
  const realm = tokenService(parameters.get("realm") ?? "", response.url);
  const service = parameters.get("service");
  if (service !== undefined) realm.searchParams.set("service", service);
  realm.searchParams.set("scope", parameters.get("scope") ?? scope);
  const answer = await sendRequest(realm, {}, { ...settings, authorization: basic });
  return `Bearer ${parseToken(await collectDocument(answer.body), host)}`;
}

function tokenService(realm: string, registry: URL): URL {
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  if (url?.protocol !== "https:" && url?.protocol !== "http:") {
    throw new ImageError(
      "IMAGE_SOURCE_INVALID",
      `registry ${registry.host} names no token service that can be asked`,
    );
  }
  if (registry.protocol === "https:" && url.protocol === "http:") {
    throw new ImageError(
      "IMAGE_UNSAFE_REDIRECT",
      `registry ${registry.host} wants the password to be sent without encryption`,
    );
  }
  return url;
}

function parseToken(bytes: Buffer, host: string): string {
  let answer: { token?: unknown; access_token?: unknown } | undefined;
  try {
    answer = JSON.parse(bytes.toString("utf8")) as typeof answer;
  } catch {
    answer = undefined;
  }
  const token = answer?.token ?? answer?.access_token;
  if (typeof token === "string" && /^[\x21-\x7e]{1,65536}$/.test(token)) return token;
  throw new ImageError(
    "IMAGE_SOURCE_INVALID",
    `the token service of registry ${host} gives no token`,
  );
}
