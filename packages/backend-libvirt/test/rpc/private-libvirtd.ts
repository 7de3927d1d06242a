import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { startSocketRelay } from "./socket-relay.ts";

/** A real libvirtd with its own state, sockets, mount and network namespace. */
export interface PrivateLibvirtd extends AsyncDisposable {
  readonly socketPath: string;
  /** A folder of the daemon for pools and files; removed with it. */
  readonly directory: string;
  readonly pid: number;
  /** Port of 127.0.0.1 that leads to the daemon's TLS port; 0 when it does not listen. */
  readonly tlsPort: number;
}

/** Options of {@link startPrivateLibvirtd}. */
export interface PrivateLibvirtdOptions {
  /** Folder with `cacert.pem`, `servercert.pem` and `serverkey.pem`, to listen for TLS with. */
  readonly pkiDirectory?: string;
  /** Folder for /etc/sasl2, to demand SASL with on the unix socket and over TLS. */
  readonly saslDirectory?: string;
}

const tlsPort = 16514;

const libvirtdConf = (directory: string, options: PrivateLibvirtdOptions): string => `
unix_sock_dir = "${directory}/sockets"
auth_unix_rw = "${options.saslDirectory === undefined ? "none" : "sasl"}"
auth_unix_ro = "none"
log_outputs = "1:file:${directory}/libvirtd.log"
log_level = 3
${options.pkiDirectory === undefined ? "" : tlsConf(options.pkiDirectory, options)}
`;

const tlsConf = (pkiDirectory: string, { saslDirectory }: PrivateLibvirtdOptions): string => `
auth_tls = "${saslDirectory === undefined ? "none" : "sasl"}"
listen_addr = "127.0.0.1"
tls_port = "${tlsPort}"
ca_file = "${pkiDirectory}/cacert.pem"
cert_file = "${pkiDirectory}/servercert.pem"
key_file = "${pkiDirectory}/serverkey.pem"
`;

const namespaces = "--mount --net --uts --pid --fork --kill-child --mount-proc".split(" ");

const qemuConf = `
cgroup_controllers = []
namespaces = []
security_driver = "none"
user = "root"
group = "root"
stdio_handler = "file"
`;

// The daemon sees a /dev without kvm: a node that exists but does not work makes every start slow.
// The shell stays as the first process of the PID namespace, since it reaps the guests that end.
const launchScript = `
set -e
d=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$d/dev"
for node in null zero full random urandom tty; do
  : > "$d/dev/$node"
  mount --bind "/dev/$node" "$d/dev/$node"
done
mkdir "$d/dev/shm" "$d/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$d/dev/pts"
ln -s pts/ptmx "$d/dev/ptmx"
mount --rbind "$d/dev" /dev
for pair in etc:/etc/libvirt run:/run/libvirt lib:/var/lib/libvirt cache:/var/cache/libvirt log:/var/log/libvirt lock:/var/lock; do
  mkdir -p "\${pair#*:}"
  mount --bind "$d/\${pair%%:*}" "\${pair#*:}"
done
if [ -n "$SASL" ]; then
  mkdir -p /etc/sasl2
  mount --bind "$SASL" /etc/sasl2
fi
ip link set lo up
if [ -n "$TLS" ]; then "$NODE" "$RELAY" "$d/sockets/tls" ${tlsPort} & fi
libvirtd $TLS -f "$d/libvirtd.conf" -p "$d/libvirtd.pid" &
wait $!
`;

/**
 * Starts a libvirtd in namespaces of its own; needs root, util-linux, iproute2 and libvirt.
 *
 * @throws Error with the daemon's output when it does not listen within 30 s.
 */
export async function startPrivateLibvirtd(
  options: PrivateLibvirtdOptions = {},
): Promise<PrivateLibvirtd> {
  const directory = await mkdtemp(join(tmpdir(), "libvirtd-"));
  for (const name of ["sockets", "dev", "etc", "run", "lib", "cache", "log", "lock", "pool"]) {
    await mkdir(join(directory, name));
  }
  await writeFile(join(directory, "libvirtd.conf"), libvirtdConf(directory, options));
  await writeFile(join(directory, "etc", "qemu.conf"), qemuConf);
  const daemon = spawn(
    "/usr/bin/unshare",
    [...namespaces, "sh", "-c", launchScript, "sh", directory],
    {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ...process.env,
        SASL: options.saslDirectory ?? "",
        TLS: options.pkiDirectory === undefined ? "" : "--listen",
        NODE: process.execPath,
        RELAY: fileURLToPath(new URL("namespace-relay.ts", import.meta.url)),
      },
    },
  );
  const killDaemon = (): boolean => daemon.kill("SIGKILL");
  process.once("exit", killDaemon);
  let output = "";
  daemon.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(-4000);
  });
  const failed = Promise.race([
    once(daemon, "exit").then(([code]) => `it exited with code ${code}`),
    once(daemon, "error").then(([error]) => String(error)),
  ]);
  const relays: AsyncDisposable[] = [];
  const stop = async (): Promise<void> => {
    for (const relay of relays) await relay[Symbol.asyncDispose]();
    await stopProcess(daemon);
    process.off("exit", killDaemon);
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
  };
  const socketPath = join(directory, "sockets", "libvirt-sock");
  const tlsPath = join(directory, "sockets", "tls");
  const awaited = options.pkiDirectory === undefined ? [socketPath] : [socketPath, tlsPath];
  const problem = await Promise.race([failed, untilListening(awaited)]);
  if (problem !== undefined) {
    const log = await readFile(join(directory, "libvirtd.log"), "utf8").catch(() => "");
    await stop();
    throw new Error(
      `No private libvirtd could be started: ${problem}.\n${output}\n${log.slice(-4000)}`,
    );
  }
  let port = 0;
  if (options.pkiDirectory !== undefined) {
    const relay = await startSocketRelay({ host: "127.0.0.1", port: 0 }, { path: tlsPath });
    relays.push(relay);
    port = relay.port;
  }
  return {
    socketPath,
    directory,
    pid: daemon.pid!,
    tlsPort: port,
    [Symbol.asyncDispose]: stop,
  };
}

async function untilListening(paths: readonly string[]): Promise<string | undefined> {
  for (let attempt = 0; attempt < 300; attempt++) {
    try {
      for (const path of paths) await access(path);
      return undefined;
    } catch {
      await delay(100, undefined, { ref: false });
    }
  }
  return "it did not listen within 30 s";
}

// Killing the parent kills the first process of the PID namespace and with it every guest.
async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
