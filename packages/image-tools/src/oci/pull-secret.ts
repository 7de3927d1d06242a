import { ImageError } from "../image-error.ts";
import type { OciReference } from "./oci-reference.ts";

/** User and password for a registry. */
export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

/**
 * The credentials for an image in a pull secret, which is the text of a `.dockerconfigjson`: those
 * of the longest key that its name begins with.
 *
 * @throws ImageError `IMAGE_INVALID_ARGUMENT` when the secret is malformed; the message does not
 * repeat any of it.
 */
export function findCredentials(
  secret: string,
  { registry, repository }: OciReference,
): RegistryCredentials | undefined {
  let best: { readonly length: number; readonly entry: unknown } | undefined;
  for (const [key, entry] of Object.entries(parseAuths(secret))) {
    const place = key.replace(/^https?:\/\//, "").replace(/\/(?:v[12]\/?)?$/, "");
    const isMatch = `${registry}/${repository}/`.startsWith(`${place}/`);
    if (isMatch && place.length > (best?.length ?? 0)) best = { length: place.length, entry };
  }
  return best === undefined ? undefined : parseEntry(best.entry);
}

function parseAuths(secret: string): object {
  let value: unknown;
  try {
    value = JSON.parse(secret);
  } catch {
    throw malformed();
  }
  const { auths } = (value ?? {}) as { auths?: unknown };
  if (typeof auths !== "object" || auths === null) throw malformed();
  return auths;
}

function parseEntry(entry: unknown): RegistryCredentials {
  const { auth, username, password } = (entry ?? {}) as Record<string, unknown> as {
    auth?: unknown;
    username?: unknown;
    password?: unknown;
  };
  if (typeof username === "string" && typeof password === "string") return { username, password };
  if (typeof auth !== "string") throw malformed();
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 1) throw malformed();
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function malformed(): ImageError {
  return new ImageError("IMAGE_INVALID_ARGUMENT", "the pull secret is not a dockerconfigjson");
}
