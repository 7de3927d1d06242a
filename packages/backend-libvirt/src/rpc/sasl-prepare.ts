import { RpcError } from "./rpc-error.ts";

// RFC 3454 tables C.1.2 and B.1: other spaces, and characters that mean nothing by themselves.
const otherSpaces = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;
const meaningless =
  /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu;
// Tables C.2 to C.9: control, private use, not characters, surrogates, marks of direction, tags.
const forbidden =
  /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\u0340\u0341\u2028\u2029\u2ff0-\u2ffb\ufffc\ufffd]/u;

/**
 * Prepares a user name or password for comparison (SASLprep, RFC 4013, without its check of the
 * direction of writing).
 *
 * @param what - What it is, for the error, which never has the text itself.
 * @throws RpcError `RPC_AUTHENTICATION_FAILED` when it is empty or has characters that SASL forbids.
 */
export function saslPrepare(text: string, what: string): string {
  const prepared = text.replace(otherSpaces, " ").replace(meaningless, "").normalize("NFKC");
  if (prepared !== "" && !forbidden.test(prepared)) return prepared;
  throw new RpcError(
    "RPC_AUTHENTICATION_FAILED",
    `The SASL ${what} is empty or has characters that SASL forbids, such as control characters.`,
  );
}
