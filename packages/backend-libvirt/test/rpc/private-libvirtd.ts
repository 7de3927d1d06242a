import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** A real libvirtd with its own state, sockets, mount and network namespace. */
export interface PrivateLibvirtd extends AsyncDisposable {
  readonly socketPath: string;
  /** A folder of the daemon for pools and files; removed with it. */
  readonly directory: string;
  readonly pid: number;
}

const libvirtdConf = (directory: string): string => `
unix_sock_dir = "${directory}/sockets"
auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "1:file:${directory}/libvirtd.log"
log_level = 3
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
ip link set lo up
libvirtd -f "$d/libvirtd.conf" -p "$d/libvirtd.pid" &
wait $!
`;

/**
 * Starts a libvirtd in namespaces of its own; needs root, util-linux, iproute2 and libvirt.
 *
 * @throws Error with the daemon's output when it does not listen within 30 s.
 */
export async function startPrivateLibvirtd(): Promise<PrivateLibvirtd> {
  const directory = await mkdtemp(join(tmpdir(), "libvirtd-"));
  for (const name of ["sockets", "dev", "etc", "run", "lib", "cache", "log", "lock", "pool"]) {
    await mkdir(join(directory, name));
  }
  await writeFile(join(directory, "libvirtd.conf"), libvirtdConf(directory));
  await writeFile(join(directory, "etc", "qemu.conf"), qemuConf);
  const daemon = spawn(
    "/usr/bin/unshare",
    [...namespaces, "sh", "-c", launchScript, "sh", directory],
    {
      stdio: ["ignore", "ignore", "pipe"],
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
  const stop = async (): Promise<void> => {
    await stopProcess(daemon);
    process.off("exit", killDaemon);
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
  };
  const socketPath = join(directory, "sockets", "libvirt-sock");
  const problem = await Promise.race([failed, untilListening(socketPath)]);
  if (problem !== undefined) {
    await stop();
    throw new Error(`No private libvirtd could be started: ${problem}.\n${output}`);
  }
  return { socketPath, directory, pid: daemon.pid!, [Symbol.asyncDispose]: stop };
}

async function untilListening(socketPath: string): Promise<string | undefined> {
  for (let attempt = 0; attempt < 300; attempt++) {
    try {
      await access(socketPath);
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
