import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EmbeddedHost } from "./embedded-host.ts";
import type { Lab, LabHost, LabOptions } from "./lab.ts";
import { LabError } from "./lab-error.ts";
import { LabNetwork, type NetworkMember } from "./lab-network.ts";
import { processesInNamespaceOf, processStartTime } from "./namespace-processes.ts";
import { startHost } from "./start-embedded-host.ts";

/** Addresses of the bridge and of the hosts; the network is the lab's alone. */
const NETWORK = "10.99.0";
const FIRST_HOST = 11;
const MAXIMUM_HOSTS = 50;
const MAXIMUM_NAME = 12;

/**
 * Starts several private libvirt hosts that reach one another over a network of their own, see a directory in common and
 * guard their disks with virtlockd. Everything ends with this process, however it ends.
 *
 * @throws LabError as `startEmbeddedHost`, `LAB_INVALID` for names that cannot be used; nothing is left then.
 */
export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const { hosts: names = ["node-1", "node-2"], ...hostOptions } = options;
  checkNames(names);
  await using made = new AsyncDisposableStack();
  const directory = await mkdtemp(join(await realpath(tmpdir()), "polyvisor-lab-"));
  made.defer(() => rm(directory, { recursive: true, force: true }));
  const sharedDirectory = join(directory, "shared");
  const lockDirectory = join(directory, "locks");
  await mkdir(sharedDirectory);
  await mkdir(lockDirectory);
  const members = names.map((name, index): NetworkMember => ({
    name,
    address: `${NETWORK}.${FIRST_HOST + index}`,
    socketPath: join(directory, `${name}.sock`),
  }));
  const network = made.use(await LabNetwork.start(`${NETWORK}.1`, members, directory));
  const addresses = Object.fromEntries(members.map(({ name, address }) => [name, address]));
  const start = async (member: NetworkMember): Promise<LabHost> => {
    const host = await startHost(
      { ...hostOptions, name: member.name },
      {
        address: member.address,
        names: addresses,
        lockDirectory,
        connect: (pid, signal) => network.join(member, pid, signal),
      },
    );
    return made.use(labHost(host, member, network));
  };
  const started = await Promise.allSettled(members.map(start));
  const hosts = started.map((outcome) => {
    if (outcome.status === "fulfilled") return outcome.value;
    throw outcome.reason;
  });
  const kept = made.move();
  return { hosts, sharedDirectory, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

function checkNames(names: readonly string[]): void {
  const usable =
    names.length > 0 &&
    names.length <= MAXIMUM_HOSTS &&
    new Set(names).size === names.length &&
    names.every((name) => name.length <= MAXIMUM_NAME);
  if (usable) return;
  throw new LabError(
    "LAB_INVALID",
    `A lab has 1 to ${MAXIMUM_HOSTS} hosts with different names of at most ${MAXIMUM_NAME} characters; got ${JSON.stringify(names)}.`,
  );
}

function labHost(host: EmbeddedHost, member: NetworkMember, network: LabNetwork): LabHost {
  const { name, address, socketPath } = member;
  const signalAll = async (signal: "SIGSTOP" | "SIGCONT"): Promise<void> => {
    for (const { pid } of await processesInNamespaceOf(host.pid)) signalProcess(pid, signal);
  };
  return {
    name,
    address,
    networkUri: `qemu+unix:///system?socket=${encodeURIComponent(socketPath).replaceAll("%2F", "/")}`,
    peerUri: `qemu+tcp://${name}/system`,
    uri: host.uri,
    socketPath: host.socketPath,
    directory: host.directory,
    pid: host.pid,
    shellCommand: host.shellCommand,
    run: (...command) => host.run(...command),
    killDaemon: () => host.killDaemon(),
    restartDaemon: (restartOptions) => host.restartDaemon(restartOptions),
    describe: () => host.describe(),
    cutOff: () => network.setConnected(name, false),
    rejoin: () => network.setConnected(name, true),
    pause: () => signalAll("SIGSTOP"),
    resume: () => signalAll("SIGCONT"),
    async kill() {
      const before = await processStartTime(host.pid);
      signalProcess(host.pid, "SIGKILL");
      while (before !== undefined && (await processStartTime(host.pid)) === before) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
      }
    },
    async [Symbol.asyncDispose]() {
      // A stopped process does not hear that it is to end.
      await signalAll("SIGCONT");
      await host[Symbol.asyncDispose]();
    },
  };
}

const POLL_MILLISECONDS = 20;

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // Ended in the meantime.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
