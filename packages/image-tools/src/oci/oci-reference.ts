import { isIP } from "node:net";
import { ImageError } from "../image-error.ts";
import { isDigest } from "./oci-descriptor.ts";

/** Names an image in a registry. */
export interface OciReference {
  /** Host and port of the registry. */
  readonly registry: string;
  readonly repository: string;
  /** A tag or a digest; the digest where both are given. */
  readonly version: string;
}

const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::\d{1,5})?$/i;
const PATH_PART = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const REPOSITORY = new RegExp(`^${PATH_PART}(?:/${PATH_PART})*$`);
const TAG = /^\w[\w.-]{0,127}$/;

/**
 * Parses `host[:port]/repository[:tag][@digest]`, with or without `docker://` in front. The host
 * must be there; the tag is `latest` when neither is given.
 *
 * @throws ImageError `IMAGE_INVALID_ARGUMENT`.
 * @see OCI Distribution Specification 1.1, "Pulling manifests"
 */
export function parseOciReference(text: string): OciReference {
  const [name = "", digest] = text.replace(/^(?:docker|oci):\/\//, "").split("@");
  const slash = name.indexOf("/");
  const registry = name.slice(0, Math.max(slash, 0));
  const path = name.slice(slash + 1);
  const colon = path.lastIndexOf(":");
  const repository = colon === -1 ? path : path.slice(0, colon);
  const tag = colon === -1 ? "latest" : path.slice(colon + 1);
  const isHost = HOST.test(registry) && (/[.:]/.test(registry) || registry === "localhost");
  const isValid =
    isHost &&
    repository.length <= 255 &&
    REPOSITORY.test(repository) &&
    TAG.test(tag) &&
    (digest === undefined || isDigest(digest)) &&
    text.split("@").length <= 2;
  if (!isValid) {
    throw new ImageError(
      "IMAGE_INVALID_ARGUMENT",
      "the container image must be named as host/repository:tag or host/repository@sha256:…",
    );
  }
  return { registry, repository, version: digest ?? tag };
}

/** Whether a registry is on this machine, so that it may be spoken to without encryption. */
export function isLoopbackRegistry(registry: string): boolean {
  const host = registry
    .replace(/:\d+$/, "")
    .replace(/^\[(.*)\]$/, "$1")
    .toLowerCase();
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
