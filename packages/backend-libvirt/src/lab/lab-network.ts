import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { LabError } from "./lab-error.ts";
import { lastLines, runChecked } from "./run-command.ts";

/** The daemons' port for plain TCP. Source: libvirt, "Remote support". */
const DAEMON_PORT = 16_509;

/** A host of the network. */
export interface NetworkMember {
  readonly name: string;
  readonly address: string;
  /** Unix socket, outside, that leads to its daemon over the network. */
  readonly socketPath: string;
}

/**
 * The first process of the network's namespace: leads unix sockets outside to the daemons inside, over the bridge, so
 * that a host that is cut off is cut off from its manager as well. Ends when its standard input does, and removes the
 * directory of the lab.
 */
const RELAY = String.raw`
const { connect, createServer } = require("node:net");
const { execFileSync } = require("node:child_process");
const { rmSync } = require("node:fs");
const { address, members, port, directory } = JSON.parse(process.argv[1]);
const ip = (...words) => execFileSync("/usr/sbin/ip", words);
ip("link", "set", "lo", "up");
ip("link", "add", "lab", "type", "bridge");
ip("address", "add", address + "/24", "dev", "lab");
ip("link", "set", "lab", "up");
const serve = ({ address: host, socketPath }) =>
  new Promise((resolve) => {
    const server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ host, port, allowHalfOpen: true });
      const end = () => { near.destroy(); far.destroy(); };
      for (const [from, to] of [[near, far], [far, near]]) {
        from.on("error", end).on("close", end);
        from.pipe(to);
      }
    });
    server.listen(socketPath, resolve);
  });
Promise.all(members.map(serve)).then(() => console.log("ready"));
process.stdin
  .on("end", () => {
    rmSync(directory, { recursive: true, force: true, maxRetries: 20 });
    process.exit();
  })
  .resume();
`;

/** A bridge in a network namespace of its own, and the way in from outside. */
export class LabNetwork implements AsyncDisposable {
  readonly #pid: number;
  readonly #end: () => Promise<unknown>;

  private constructor(pid: number, end: () => Promise<unknown>) {
    this.#pid = pid;
    this.#end = end;
  }

  /**
   * Makes the bridge and opens the sockets of its members. Everything ends with this process, and the directory goes.
   *
   * @throws LabError `LAB_HOST_START_FAILED` with what the first process said.
   */
  static async start(
    address: string,
    members: readonly NetworkMember[],
    directory: string,
  ): Promise<LabNetwork> {
    const relay = ["--input-type=commonjs", "--eval", RELAY, "--"];
    const plan = JSON.stringify({ address, members, port: DAEMON_PORT, directory });
    const child = spawn("/usr/bin/unshare", ["--net", "--", process.execPath, ...relay, plan], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const ended = once(child, "exit");
    let messages = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      messages = (messages + text).slice(-65_536);
    });
    const lines = createInterface(child.stdout);
    const ready = await Promise.race([once(lines, "line"), ended.then(() => undefined)]);
    if (ready === undefined || child.pid === undefined) {
      throw new LabError(
        "LAB_HOST_START_FAILED",
        `The network of the lab did not start: ${lastLines(messages, 10)}`,
      );
    }
    lines.close();
    child.unref();
    for (const stream of [child.stdin, child.stdout, child.stderr]) {
      if ("unref" in stream && typeof stream.unref === "function") stream.unref();
    }
    return new LabNetwork(child.pid, () => {
      child.ref();
      child.stdin.end();
      return ended;
    });
  }

  /** Joins the namespaces of a host's first process to the bridge, as its interface `eth0`. */
  async join({ name, address }: NetworkMember, pid: number, signal: AbortSignal): Promise<void> {
    const peer = ["peer", "name", "eth0", "netns", String(pid)];
    await this.#ip(["link", "add", port(name), "type", "veth", ...peer], signal);
    await this.#ip(["link", "set", port(name), "master", "lab", "up"], signal);
    const inside = ["-t", String(pid), "-n", "--", "ip"];
    await runChecked("nsenter", [...inside, "address", "add", `${address}/24`, "dev", "eth0"], {
      signal,
    });
    await runChecked("nsenter", [...inside, "link", "set", "eth0", "up"], { signal });
  }

  /** Takes a host's cable out, or puts it in again. Packets are lost; nobody is told. */
  async setConnected(name: string, connected: boolean): Promise<void> {
    await this.#ip(["link", "set", port(name), connected ? "up" : "down"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  async #ip(words: readonly string[], signal?: AbortSignal): Promise<void> {
    await runChecked("nsenter", ["-t", String(this.#pid), "-n", "--", "ip", ...words], { signal });
  }
}

/** Name of a host's port on the bridge; interfaces have names of at most 15 characters. */
function port(name: string): string {
  return `to-${name.slice(0, 12)}`;
}
