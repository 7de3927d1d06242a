import { execFile } from "node:child_process";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A certificate authority of a test, with its files in a folder. */
export interface CertificateAuthority {
  readonly certificatePath: string;
  /** Makes a key and a certificate for it, `<name>cert.pem` and `<name>key.pem` in the folder. */
  issue(directory: string, name: "client" | "server", subject: string): Promise<void>;
  /** Makes a folder for `pkipath`, with a client certificate of this or another authority. */
  issueClientDirectory(directory: string, issuer?: CertificateAuthority): Promise<string>;
  /** Writes a list with the certificate of a file as revoked, or with none. */
  writeRevocationList(path: string, revoked?: string): Promise<void>;
}

const configuration = (directory: string): string => `
[req]
distinguished_name = subject
prompt = no
[subject]
commonName = test
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = clientAuth
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1
[ca]
default_ca = database
[database]
database = ${directory}/index.txt
default_md = sha256
default_crl_days = 2
`;

const newKey = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(" ");

/** Makes an authority with openssl. */
export async function createCertificateAuthority(directory: string): Promise<CertificateAuthority> {
  await mkdir(directory, { recursive: true });
  const file = (name: string): string => join(directory, name);
  const openssl = (...given: readonly (string | readonly string[])[]): Promise<unknown> =>
    run("openssl", given.flat());
  const certificatePath = file("cacert.pem");
  await writeFile(file("openssl.cnf"), configuration(directory));
  await writeFile(file("index.txt"), "");
  const config = ["-config", file("openssl.cnf")];
  await openssl(
    ["req", "-x509", ...config, "-extensions", "authority", ...newKey],
    ["-subj", `/CN=Test ${basename(directory)}`],
    ["-keyout", file("cakey.pem"), "-out", certificatePath],
  );
  const signer = ["-CA", certificatePath, "-CAkey", file("cakey.pem")];
  const issue = async (target: string, name: string, subject: string): Promise<void> => {
    await openssl(
      ["req", "-x509", ...config, ...signer, "-extensions", name, ...newKey],
      ["-subj", `/CN=${subject}`],
      ["-keyout", join(target, `${name}key.pem`), "-out", join(target, `${name}cert.pem`)],
    );
  };
  const authority: CertificateAuthority = {
    certificatePath,
    issue,
    async issueClientDirectory(target, issuer = authority) {
      await mkdir(target, { recursive: true });
      await copyFile(certificatePath, join(target, "cacert.pem"));
      await issuer.issue(target, "client", "client");
      return target;
    },
    async writeRevocationList(path, revoked) {
      const key = ["-keyfile", file("cakey.pem"), "-cert", certificatePath];
      if (revoked !== undefined) await openssl("ca", config, key, "-revoke", revoked);
      await openssl("ca", config, key, "-gencrl", "-out", path);
    },
  };
  return authority;
}
