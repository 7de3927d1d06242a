import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MANIFEST_TYPE, INDEX_TYPE, type OciImage } from "./oci-image.ts";
import { runTool } from "./run-tool.ts";

const REGISTRY = "docker-registry";

export const REGISTRY_USER = "user";
export const REGISTRY_PASSWORD = "pass word";
// The password above, with bcrypt.
const HTPASSWD = "user:$2y$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.\n";

export interface DockerRegistry extends AsyncDisposable {
  readonly host: string;
  readonly origin: string;
}

export interface DockerRegistryOptions {
  readonly directory: string;
  /** Paths of a key and its certificate, for "localhost". */
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** Starts the registry of Debian on loopback, with a login, and stops it when disposed. */
export async function startRegistry({
  directory,
  tls,
}: DockerRegistryOptions): Promise<DockerRegistry> {
  await runTool(REGISTRY, "--version");
  const port = await freePort();
  const passwords = join(directory, "htpasswd");
  await writeFile(passwords, HTPASSWD);
  const config = {
    version: 0.1,
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(directory, "storage") } },
    http: {
      addr: `127.0.0.1:${port}`,
      secret: "x",
      ...(tls === undefined ? {} : { tls: { certificate: tls.cert, key: tls.key } }),
    },
    auth: { htpasswd: { realm: "test", path: passwords } },
  };
  const path = join(directory, "config.yml");
  // JSON is YAML.
  await writeFile(path, JSON.stringify(config));
  const process = spawn(REGISTRY, ["serve", path], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  process.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
  const exited = once(process, "exit");
  for (let tries = 0; !(await isListening(port)); tries += 1) {
    if (process.exitCode !== null || tries > 300) {
      process.kill("SIGKILL");
      throw new Error(`docker-registry did not start: ${log}`);
    }
    await sleep(100);
  }
  const host = `${tls === undefined ? "127.0.0.1" : "localhost"}:${port}`;
  return {
    host,
    origin: `${tls === undefined ? "http" : "https"}://${host}`,
    [Symbol.asyncDispose]: async () => {
      process.kill("SIGTERM");
      await exited;
    },
  };
}

/** Pushes an image, over plain HTTP. */
export async function pushImage(
  { origin }: DockerRegistry,
  repository: string,
  tag: string,
  { manifest, blobs }: OciImage,
): Promise<void> {
  const base = `${origin}/v2/${repository}`;
  for (const [digest, bytes] of blobs) {
    if (isManifest(bytes)) continue;
    const started = await send(`${base}/blobs/uploads/`, "POST");
    const location = new URL(started.headers.get("location") ?? "", origin);
    location.searchParams.set("digest", digest);
    await send(location.href, "PUT", bytes, "application/octet-stream");
  }
  for (const [digest, bytes] of blobs) {
    if (isManifest(bytes)) await send(`${base}/manifests/${digest}`, "PUT", bytes, MANIFEST_TYPE);
  }
  const type = manifest.includes('"manifests"') ? INDEX_TYPE : MANIFEST_TYPE;
  await send(`${base}/manifests/${tag}`, "PUT", manifest, type);
}

function isManifest(bytes: Buffer): boolean {
  return bytes.subarray(0, 20).toString() === '{"schemaVersion":2,"';
}

async function send(
  url: string,
  method: string,
  body?: Buffer,
  type = "text/plain",
): Promise<Response> {
  const login = Buffer.from(`${REGISTRY_USER}:${REGISTRY_PASSWORD}`).toString("base64");
  const headers = { authorization: `Basic ${login}`, "content-type": type };
  const content = body === undefined ? {} : { body: new Uint8Array(body) };
  const response = await fetch(url, { method, headers, ...content });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return response;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
