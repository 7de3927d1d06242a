import { validatorOf, parseLength } from "../http/http-resume.ts";
import { HttpSourceBody } from "../http/http-source-body.ts";
import { redactUrl } from "../http/redact-url.ts";
import {
  firstValue,
  sendRequest,
  type HttpResponse,
  type RequestSettings,
} from "../http/send-request.ts";
import { statusError } from "../http/http-failure.ts";
import {
  collectDocument,
  digestLike,
  isDigest,
  requireDigest,
  type OciBlobStore,
  type OciDescriptor,
} from "./oci-descriptor.ts";
import { MANIFEST_TYPES } from "./oci-documents.ts";
import type { OciReference } from "./oci-reference.ts";
import type { RegistryCredentials } from "./pull-secret.ts";
import { authorize } from "./registry-authorization.ts";

const UNAUTHORIZED = 401;
const NOTHING_TO_VERIFY = { update: () => {}, verify: () => {} };

/** Pulls from one repository of a registry. @see OCI Distribution Specification 1.1 */
export class RegistryClient implements OciBlobStore {
  readonly #base: string;
  readonly #reference: OciReference;
  readonly #settings: RequestSettings;
  readonly #credentials: RegistryCredentials | undefined;
  #authorization: string | undefined;

  constructor(
    origin: string,
    reference: OciReference,
    credentials: RegistryCredentials | undefined,
    settings: RequestSettings,
  ) {
    this.#base = `${origin}/v2/${reference.repository}`;
    this.#reference = reference;
    this.#credentials = credentials;
    this.#settings = { ...settings, acceptedStatuses: [UNAUTHORIZED] };
  }

  /**
   * The first document of the image. A digest in its name is verified, and otherwise the one that
   * the registry tells, if any.
   */
  async fetchManifest(): Promise<Buffer> {
    const { version } = this.#reference;
    const url = new URL(`${this.#base}/manifests/${version}`);
    const response = await this.#get(url, { accept: MANIFEST_TYPES });
    const bytes = await collectDocument(this.#bodyOf(url, response, Infinity));
    const told = firstValue(response.headers["docker-content-digest"]);
    const expected = isDigest(version) ? version : told;
    if (expected !== undefined && isDigest(expected)) {
      requireDigest(`the manifest of "${version}"`, expected, digestLike(expected, bytes));
    }
    return bytes;
  }

  /** A blob or, by its media type, another manifest. */
  async *open(descriptor: OciDescriptor): AsyncGenerator<Uint8Array, void, void> {
    const { digest, mediaType, sizeBytes } = descriptor;
    const isManifest = MANIFEST_TYPES.split(", ").includes(mediaType);
    const url = new URL(`${this.#base}/${isManifest ? "manifests" : "blobs"}/${digest}`);
    const response = await this.#get(url, isManifest ? { accept: mediaType } : {});
    yield* this.#bodyOf(url, response, sizeBytes);
  }

  async #get(url: URL, headers: Readonly<Record<string, string>>): Promise<HttpResponse> {
    const first = await sendRequest(url, headers, this.#authorized());
    if (first.status !== UNAUTHORIZED) return first;
    discard(first);
    const scope = `repository:${this.#reference.repository}:pull`;
    this.#authorization = await authorize(first, this.#credentials, this.#tokenSettings(), scope);
    const second = await sendRequest(url, headers, this.#authorized());
    if (second.status !== UNAUTHORIZED) return second;
    discard(second);
    throw statusError(UNAUTHORIZED, redactUrl(url));
  }

  #authorized(): RequestSettings {
    return { ...this.#settings, authorization: this.#authorization };
  }

  #tokenSettings(): RequestSettings {
    return { ...this.#settings, acceptedStatuses: [] };
  }

  #bodyOf(url: URL, response: HttpResponse, maxBytes: number): AsyncIterable<Uint8Array> {
    const body = new HttpSourceBody({
      response,
      start: url,
      settings: { ...this.#authorized(), acceptedStatuses: [] },
      location: redactUrl(response.url),
      totalBytes: parseLength(firstValue(response.headers["content-length"])),
      maxBytes,
      validator: validatorOf(response),
      verifier: NOTHING_TO_VERIFY,
    });
    return body.read();
  }
}

function discard(response: HttpResponse): void {
  response.body.on("error", () => {}).destroy();
}
