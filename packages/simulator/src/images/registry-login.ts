import type { ContainerImageSource } from "@polyvisor/core";
import type { ImageOptions } from "./image-options.ts";

/** True when a `.dockerconfigjson` document has the login for the image's registry. */
export function isLoggedIn(
  { image, dockerConfig }: ContainerImageSource,
  { username, password }: NonNullable<ImageOptions["login"]>,
): boolean {
  if (dockerConfig === undefined) return false;
  const { auths = {} } = JSON.parse(dockerConfig) as {
    auths?: Record<string, { auth?: string; username?: string; password?: string }>;
  };
  const registry = image.split("/")[0] ?? "";
  const entry = Object.entries(auths).find(
    ([address]) => address.replace(/^https?:\/\//, "").split("/")[0] === registry,
  )?.[1];
  const given = entry?.auth
    ? Buffer.from(entry.auth, "base64").toString()
    : `${entry?.username}:${entry?.password}`;
  return given === `${username}:${password}`;
}
