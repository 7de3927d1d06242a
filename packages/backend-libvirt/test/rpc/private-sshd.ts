import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A real sshd on 127.0.0.1 with keys of its own, in whose sessions a private libvirtd runs. */
export interface PrivateSshd extends AsyncDisposable {
  readonly port: number;
  /** Another port, whose sessions find netcat but no virt-ssh-helper. */
  readonly portWithoutHelper: number;
  /** A key that it lets in, and one that it does not. */
  readonly keyPath: string;
  readonly otherKeyPath: string;
  /** A PATH with an `ssh` first that uses no file of the user. */
  readonly path: string;
  /** Programs in place of netcat that send nothing, and nonsense. */
  readonly silentNetcat: string;
  readonly babblingNetcat: string;
  /** Process IDs of every ssh that was started through that PATH. */
  clients(): Promise<readonly number[]>;
  /** Makes ssh know another host key instead of the right one, or none. */
  setKnownHost(known: "right" | "wrong" | "none"): Promise<void>;
}

const sshdConfig = (directory: string, ports: readonly number[]): string => `
${ports.map((port) => `Port ${port}`).join("\n")}
ListenAddress 127.0.0.1
HostKey ${directory}/host_key
AuthorizedKeysFile ${directory}/key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
Match LocalPort ${ports[1]}
  SetEnv PATH=${directory}/bin
`;

const sshConfig = (directory: string): string => `
UserKnownHostsFile ${directory}/known_hosts
GlobalKnownHostsFile none
IdentitiesOnly yes
IdentityAgent none
IdentityFile none
`;

const sshWrapper = (directory: string): string => `#!/bin/sh
echo $$ >> ${directory}/clients
exec /usr/bin/ssh -F ${directory}/ssh_config "$@"
`;

// sshd keeps its state in /run, and virt-ssh-helper looks for the daemon there.
const launchScript = `
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/sshd /run/libvirt
mount --bind "$2" /run/libvirt
exec /usr/sbin/sshd -D -e -f "$1/sshd_config"
`;

const namespaces = "--mount --pid --fork --kill-child --mount-proc".split(" ");

/**
 * Starts an sshd whose sessions have the sockets of a folder at /run/libvirt; needs root,
 * util-linux, openssh-server, openssh-client and netcat-openbsd.
 *
 * @throws Error with its output when it does not listen within 30 s.
 */
export async function startPrivateSshd(socketDirectory: string): Promise<PrivateSshd> {
  const directory = await mkdtemp(join(tmpdir(), "sshd-"));
  const file = (name: string): string => join(directory, name);
  await mkdir(file("bin"));
  await mkdir(file("path"));
  for (const program of ["sh", "nc", "grep"]) {
    await symlink(join("/usr/bin", program), join(file("bin"), program));
  }
  for (const key of ["host_key", "other_host_key", "key", "other_key"]) {
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file(key)]);
  }
  const ports = [await freePort(), await freePort()] as const;
  await writeFile(file("sshd_config"), sshdConfig(directory, ports));
  await writeFile(file("ssh_config"), sshConfig(directory));
  await writeFile(file("clients"), "");
  for (const [path, script] of [
    ["path/ssh", sshWrapper(directory)],
    ["silent-netcat", "#!/bin/sh\ncat >/dev/null\n"],
    ["babbling-netcat", "#!/bin/sh\ntest $1 = -q && exit 1\nexec yes\n"],
  ] as const) {
    await writeFile(file(path), script, { mode: 0o755 });
  }

  const daemon = spawn(
    "/usr/bin/unshare",
    [...namespaces, "sh", "-c", launchScript, "sh", directory, socketDirectory],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const killDaemon = (): boolean => daemon.kill("SIGKILL");
  process.once("exit", killDaemon);
  let output = "";
  daemon.stderr.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(-4000);
  });
  const stop = async (): Promise<void> => {
    if (daemon.exitCode === null && daemon.signalCode === null) {
      const exited = once(daemon, "exit");
      daemon.kill("SIGKILL");
      await exited;
    }
    process.off("exit", killDaemon);
    await rm(directory, { recursive: true, force: true });
  };
  const ended = once(daemon, "exit").then(([code]) => `it exited with code ${code}`);
  const problem = await Promise.race([ended, untilListening(ports)]);
  if (problem !== undefined) {
    await stop();
    throw new Error(`No private sshd could be started: ${problem}.\n${output}`);
  }
  const sshd: PrivateSshd = {
    port: ports[0],
    portWithoutHelper: ports[1],
    keyPath: file("key"),
    otherKeyPath: file("other_key"),
    silentNetcat: file("silent-netcat"),
    babblingNetcat: file("babbling-netcat"),
    path: `${file("path")}${delimiter}${process.env["PATH"] ?? ""}`,
    async clients() {
      return (await readFile(file("clients"), "utf8")).split("\n").filter(Boolean).map(Number);
    },
    async setKnownHost(known) {
      const name = known === "right" ? "host_key.pub" : "other_host_key.pub";
      const key = await readFile(file(name), "utf8");
      const lines = ports.map((port) => `[127.0.0.1]:${port} ${key}`);
      await writeFile(file("known_hosts"), known === "none" ? "" : lines.join(""));
    },
    [Symbol.asyncDispose]: stop,
  };
  await sshd.setKnownHost("right");
  return sshd;
}

/** A TCP port of 127.0.0.1 on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function untilListening(ports: readonly number[]): Promise<string | undefined> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const listening = await Promise.all(ports.map((port) => isListening(port)));
    if (!listening.includes(false)) return undefined;
    await delay(100, undefined, { ref: false });
  }
  return "it did not listen within 30 s";
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect({ host: "127.0.0.1", port });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
