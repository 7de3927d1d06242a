import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

import { RpcError } from "./rpc-error.ts";
import { saslPrepare } from "./sasl-prepare.ts";
import type { SaslCredentials } from "./sasl-credentials.ts";

/** The SCRAM mechanisms that this client speaks, the best first, with their hashes. */
export const scramHashes: Readonly<Record<string, string>> = {
  "SCRAM-SHA-512": "sha512",
  "SCRAM-SHA-256": "sha256",
  "SCRAM-SHA-1": "sha1",
};

// Fewer would make a password easy to guess for one who only pretends to be the daemon (RFC 7677
// section 4), more would let it keep this side busy.
const minIterations = 4096;
const maxIterations = 1_000_000;
// "n,,": no channel binding and no other identity to act for.
const channelHeader = "n,,";

const derive = promisify(pbkdf2);

/** One SCRAM conversation (RFC 5802, RFC 7677), for one mechanism of {@link scramHashes}. */
export interface ScramExchange {
  readonly firstMessage: string;
  /** The answer to the daemon's first message. */
  finalMessage(serverFirst: string): Promise<string>;
  /** Checks the daemon's last message: whether it, too, knows the password. */
  verify(serverFinal: string): void;
}

/** Options of {@link startScram}. */
export interface ScramOptions {
  readonly mechanism: string;
  readonly credentials: SaslCredentials;
  /** Makes the nonce; default 18 random bytes in base 64. */
  readonly nonce?: string | undefined;
}

/**
 * Starts a SCRAM conversation.
 *
 * @throws RpcError `RPC_AUTHENTICATION_FAILED`, here and in the methods, when the user name or
 * password has characters that SASL forbids, or the daemon breaks the rules or proves nothing.
 */
export function startScram({ mechanism, credentials, nonce }: ScramOptions): ScramExchange {
  const hash = scramHashes[mechanism];
  if (hash === undefined) throw new TypeError(`"${mechanism}" is not a SCRAM mechanism.`);
  const clientNonce = nonce ?? randomBytes(18).toString("base64");
  const username = saslPrepare(credentials.username, "user name")
    .replaceAll("=", "=3D")
    .replaceAll(",", "=2C");
  const password = saslPrepare(credentials.password, "password");
  const bareFirst = `n=${username},r=${clientNonce}`;
  let serverSignature: Buffer | undefined;
  return {
    firstMessage: channelHeader + bareFirst,
    async finalMessage(serverFirst) {
      const { nonce: fullNonce, salt, iterations } = readServerFirst(serverFirst, clientNonce);
      const bareFinal = `c=${Buffer.from(channelHeader).toString("base64")},r=${fullNonce}`;
      const authMessage = `${bareFirst},${serverFirst},${bareFinal}`;
      const length = createHash(hash).digest().length;
      const salted = await derive(password, salt, iterations, length, hash);
      const clientKey = hmac(hash, salted, "Client Key");
      const storedKey = createHash(hash).update(clientKey).digest();
      const proof = exclusiveOr(clientKey, hmac(hash, storedKey, authMessage));
      serverSignature = hmac(hash, hmac(hash, salted, "Server Key"), authMessage);
      return `${bareFinal},p=${proof.toString("base64")}`;
    },
    verify(serverFinal) {
      const [attribute = ""] = serverFinal.split(",");
      if (attribute.startsWith("e=")) throw failed(`the daemon says "${attribute.slice(2, 80)}"`);
      const signature = Buffer.from(attribute.slice(2), "base64");
      const proven =
        attribute.startsWith("v=") &&
        signature.length === serverSignature?.length &&
        timingSafeEqual(signature, serverSignature);
      if (!proven) throw failed("the daemon did not prove that it knows the password");
    },
  };
}

function readServerFirst(
  message: string,
  clientNonce: string,
): { nonce: string; salt: Buffer; iterations: number } {
  // Extensions that must be understood come first, as "m=".
  const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=(\d{1,9})(?:,|$)/.exec(
    message,
  );
  if (match === null) throw failed("the daemon's first message is malformed");
  const [, nonce = "", salt = "", count = ""] = match;
  if (!nonce.startsWith(clientNonce) || nonce.length === clientNonce.length) {
    throw failed("the daemon did not continue this conversation but another");
  }
  const iterations = Number(count);
  if (iterations < minIterations || iterations > maxIterations) {
    throw failed(
      `the daemon asks for ${iterations} iterations; accepted are ${minIterations} to ${maxIterations}`,
    );
  }
  return { nonce, salt: Buffer.from(salt, "base64"), iterations };
}

function hmac(hash: string, key: Buffer, text: string): Buffer {
  return createHmac(hash, key).update(text).digest();
}

function exclusiveOr(left: Buffer, right: Buffer): Buffer {
  return Buffer.from(left.map((byte, index) => byte ^ right[index]!));
}

function failed(problem: string): RpcError {
  return new RpcError("RPC_AUTHENTICATION_FAILED", `The SASL authentication failed: ${problem}.`);
}
