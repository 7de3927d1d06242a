import { createHash, createHmac, pbkdf2Sync } from "node:crypto";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { startScram } from "../../src/rpc/scram.ts";
import { saslPrepare } from "../../src/rpc/sasl-prepare.ts";
import { failureOf, rejection } from "./support.ts";

const user = { username: "user", password: "pencil" };

describe("known conversations", () => {
  it.each([
    {
      source: "RFC 5802 section 5",
      mechanism: "SCRAM-SHA-1",
      nonce: "fyko+d2lbbFgONRv9qkxdawL",
      serverFirst: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
      clientFinal:
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
      serverFinal: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    },
    {
      source: "RFC 7677 section 3",
      mechanism: "SCRAM-SHA-256",
      nonce: "rOprNGfwEbeRWgbNEkqO",
      serverFirst:
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
      clientFinal:
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
      serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
  ])("$source", async ({ mechanism, nonce, serverFirst, clientFinal, serverFinal }) => {
    const exchange = startScram({ mechanism, credentials: user, nonce });
    expect(exchange.firstMessage).toBe(`n,,n=user,r=${nonce}`);
    expect(await exchange.finalMessage(serverFirst)).toBe(clientFinal);
    expect(failureOf(() => exchange.verify(serverFinal))).toBeUndefined();
  });
});

/** The daemon's side of RFC 5802, from its text alone. */
function serve(
  hash: string,
  password: string,
  clientFirst: string,
): {
  first: string;
  answer(clientFinal: string): string;
} {
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const bare = clientFirst.replace(/^n,,/, "");
  const salt = Buffer.from("salt of the server");
  const size = createHash(hash).digest().length;
  const salted = pbkdf2Sync(password, salt, 4096, size, hash);
  const first = `${bare.replace(/^.*,r=/, "r=")}server,s=${salt.toString("base64")},i=4096`;
  return {
    first,
    answer(clientFinal) {
      const [, unproven = "", proof = ""] = /^(.*),p=([^,]*)$/.exec(clientFinal) ?? [];
      const message = `${bare},${first},${unproven}`;
      const clientKey = hmac(salted, "Client Key");
      const storedKey = createHash(hash).update(clientKey).digest();
      const signature = hmac(storedKey, message);
      const recovered = Buffer.from(proof, "base64").map((byte, at) => byte ^ signature[at]!);
      if (!createHash(hash).update(recovered).digest().equals(storedKey)) return "e=invalid-proof";
      return `v=${hmac(hmac(salted, "Server Key"), message).toString("base64")}`;
    },
  };
}

describe("conversations", () => {
  const hashes = { "SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512" };

  it.each(Object.entries(hashes))(
    "%s succeeds with the right password only",
    async (mechanism, hash) => {
      const text = fc.string({ minLength: 1, maxLength: 20 });
      await fc.assert(
        fc.asyncProperty(text, text, async (username, password) => {
          const exchange = startScram({ mechanism, credentials: { username, password } });
          const right = serve(hash, password, exchange.firstMessage);
          exchange.verify(right.answer(await exchange.finalMessage(right.first)));
          const wrong = serve(hash, `${password}x`, exchange.firstMessage);
          const answer = wrong.answer(await exchange.finalMessage(wrong.first));
          expect(failureOf(() => exchange.verify(answer))).toMatchObject({
            code: "RPC_AUTHENTICATION_FAILED",
            message: expect.stringContaining("invalid-proof"),
          });
        }),
        { numRuns: 20 },
      );
    },
  );

  it("escape what separates in user names, and use a new nonce each time", () => {
    const credentials = { username: "a=b,c", password: "p" };
    const first = startScram({ mechanism: "SCRAM-SHA-256", credentials }).firstMessage;
    expect(first).toMatch(/^n,,n=a=3Db=2Cc,r=[A-Za-z0-9+/]{24}$/);
    expect(startScram({ mechanism: "SCRAM-SHA-256", credentials }).firstMessage).not.toBe(first);
  });

  it.each([
    ["another conversation", "r=other,s=c2FsdA==,i=4096", "not continue"],
    ["a nonce without a part of the daemon", "r=nonce,s=c2FsdA==,i=4096", "not continue"],
    ["few iterations", "r=nonce1,s=c2FsdA==,i=4095", "4095 iterations"],
    ["too many iterations", "r=nonce1,s=c2FsdA==,i=1000001", "1000001 iterations"],
    ["an extension that must be understood", "m=x,r=nonce1,s=c2FsdA==,i=4096", "malformed"],
    ["nonsense", "", "malformed"],
    ["no salt", "r=nonce1,s=,i=4096", "malformed"],
  ])("end with %s", async (_what, serverFirst, problem) => {
    const exchange = startScram({ mechanism: "SCRAM-SHA-256", credentials: user, nonce: "nonce" });
    expect(await rejection(exchange.finalMessage(serverFirst))).toMatchObject({
      code: "RPC_AUTHENTICATION_FAILED",
      message: expect.stringContaining(problem),
    });
  });

  it.each(["", "v=", "v=AAAA", "x=rmF9pqV8S7suAoZWja4dJRkFsKQ=", `v=${"A".repeat(43)}=`])(
    "end when the daemon proves nothing: %j",
    async (serverFinal) => {
      const exchange = startScram({
        mechanism: "SCRAM-SHA-256",
        credentials: user,
        nonce: "nonce",
      });
      const early = failureOf(() => exchange.verify(serverFinal));
      await exchange.finalMessage("r=nonce1,s=c2FsdA==,i=4096");
      for (const failure of [early, failureOf(() => exchange.verify(serverFinal))]) {
        expect(failure).toMatchObject({
          code: "RPC_AUTHENTICATION_FAILED",
          message: expect.stringContaining("did not prove"),
        });
      }
    },
  );
});

describe("preparation", () => {
  // The first are the examples of RFC 4013 section 3.
  it.each([
    ["I\u00adX", "IX"],
    ["user", "user"],
    ["USER", "USER"],
    ["\u00aa", "a"],
    ["\u2168", "IX"],
    ["a\u00a0b", "a b"],
    ["pass\u200dword", "password"],
  ])("of %j is %j", (text, prepared) => {
    expect(saslPrepare(text, "password")).toBe(prepared);
  });

  it.each(["", "\u00ad", "\u0007", "\u200e", "\ud800", "\ue000"])("of %j fails", (text) => {
    expect(failureOf(() => saslPrepare(text, "password"))).toMatchObject({
      code: "RPC_AUTHENTICATION_FAILED",
      message: expect.stringContaining("password is empty or has characters"),
    });
  });
});
