import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

import { RpcError } from "./rpc-error.ts";

/** Folders in which libvirt keeps the certificates of its clients. */
export interface TlsCredentialPlaces {
  /** The user's folder, looked at first; default `~/.pki/libvirt`. */
  readonly userDirectory?: string | undefined;
  /** The machine's folder, with `CA` and `libvirt` in it; default `/etc/pki`. */
  readonly systemDirectory?: string | undefined;
}

/** What a client proves itself and checks a daemon with, in PEM. */
export interface TlsCredentials {
  readonly ca: Buffer;
  /** Where `ca` comes from, for messages. */
  readonly caPath: string;
  /** Revoked certificates, if there is such a list next to the CA. */
  readonly crl: Buffer | undefined;
  /** Absent when there is none: a daemon may do without. */
  readonly client: { readonly certificate: Buffer; readonly key: Buffer } | undefined;
  /** Where `client` comes from, or where it was looked for, for messages. */
  readonly clientPath: string;
}

interface AuthorityFiles {
  readonly ca: string;
  readonly crl: string;
}

interface ClientFiles {
  readonly certificate: string;
  readonly key: string;
}

/**
 * Reads the certificates of a client (libvirt docs, "TLS transport" and `pkipath`).
 *
 * @remarks
 * The CA is the first that exists of the user's and the machine's. The client certificate and its
 * key belong together and come from the first place that has either; without any the daemon
 * decides. A `pkiPath` must have all three.
 *
 * @throws RpcError `RPC_CONNECT_FAILED` naming the file that is missing or cannot be read.
 */
export async function readTlsCredentials(
  pkiPath: string | undefined,
  places: TlsCredentialPlaces = {},
): Promise<TlsCredentials> {
  const user = places.userDirectory ?? join(homedir(), ".pki", "libvirt");
  const system = places.systemDirectory ?? "/etc/pki";
  const authorities =
    pkiPath === undefined
      ? [authorityFiles(user), authorityFiles(join(system, "CA"))]
      : [authorityFiles(pkiPath)];
  const clients =
    pkiPath === undefined
      ? [clientFiles(user), clientFiles(join(system, "libvirt"), "private")]
      : [clientFiles(pkiPath)];
  const client = await readClient(clients);
  if (client.credentials === undefined && pkiPath !== undefined) throw missing([client.path]);
  return {
    ...(await readAuthority(authorities)),
    client: client.credentials,
    clientPath: client.path,
  };
}

async function readAuthority(
  places: readonly AuthorityFiles[],
): Promise<Pick<TlsCredentials, "ca" | "caPath" | "crl">> {
  for (const files of places) {
    const ca = await readIfThere(files.ca);
    if (ca !== undefined) return { ca, caPath: files.ca, crl: await readIfThere(files.crl) };
  }
  throw missing(places.map(({ ca }) => ca));
}

async function readClient(
  places: readonly ClientFiles[],
): Promise<{ credentials: TlsCredentials["client"]; path: string }> {
  for (const files of places) {
    const certificate = await readIfThere(files.certificate);
    const key = await readIfThere(files.key);
    if (certificate === undefined && key === undefined) continue;
    if (certificate === undefined) throw missing([files.certificate]);
    if (key === undefined) throw missing([files.key]);
    return { credentials: { certificate, key }, path: files.certificate };
  }
  return {
    credentials: undefined,
    path: places.map(({ certificate }) => certificate).join(" or "),
  };
}

function authorityFiles(directory: string): AuthorityFiles {
  return { ca: join(directory, "cacert.pem"), crl: join(directory, "cacrl.pem") };
}

function clientFiles(directory: string, keyFolder = ""): ClientFiles {
  return {
    certificate: join(directory, "clientcert.pem"),
    key: join(directory, keyFolder, "clientkey.pem"),
  };
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new RpcError(
      "RPC_CONNECT_FAILED",
      `${path}, which TLS needs, cannot be read: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

function missing(paths: readonly string[]): RpcError {
  return new RpcError(
    "RPC_CONNECT_FAILED",
    `${paths.join(" or ")} is missing, and the TLS connection needs it; ` +
      "put it there or name another folder with the URI parameter pkipath.",
  );
}
