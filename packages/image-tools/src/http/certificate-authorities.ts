import { X509Certificate } from "node:crypto";
import { getCACertificates } from "node:tls";
import { ImageError } from "../image-error.ts";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * The certificate authorities to trust: Node's own, those of the system, and those in `bundle`.
 *
 * @param bundle - PEM certificates, one after another; text between them is ignored.
 * @throws ImageError `IMAGE_INVALID_ARGUMENT` when the bundle holds none or a malformed one.
 */
export function trustedAuthorities(bundle?: string): string[] {
  const added = bundle === undefined ? [] : parseBundle(bundle);
  return [...new Set([...getCACertificates("default"), ...getCACertificates("system"), ...added])];
}

function parseBundle(bundle: string): string[] {
  const certificates = bundle.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) {
    throw new ImageError("IMAGE_INVALID_ARGUMENT", "the CA bundle holds no PEM certificate");
  }
  for (const certificate of certificates) {
    try {
      new X509Certificate(certificate);
    } catch (cause) {
      throw new ImageError(
        "IMAGE_INVALID_ARGUMENT",
        "the CA bundle holds a malformed certificate",
        {
          cause,
        },
      );
    }
  }
  return certificates;
}
