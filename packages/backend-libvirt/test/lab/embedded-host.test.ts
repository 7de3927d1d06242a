import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createInterface } from "node:readline/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import {
  removeEmbeddedHost,
  startEmbeddedHost,
  type EmbeddedHostDescription,
} from "../../src/lab/index.ts";
import { createHostDirectory } from "../../src/lab/embedded-host-directory.ts";
import { startHostNamespaces } from "../../src/lab/embedded-host-namespaces.ts";
import { runChecked } from "../../src/lab/run-command.ts";
import { natNetworkXml } from "./guest-domain.ts";
import { lastingLeftovers, leftovers, tracesOf } from "./host-traces.ts";

const TIMEOUT = 120_000;
const virsh = async (host: { readonly uri: string }, ...command: string[]): Promise<string> =>
  (await runChecked("virsh", ["--connect", host.uri, ...command])).stdout.trim();

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "polyvisor-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test(
  "a host answers from outside, has its own name and devices, and leaves nothing",
  { timeout: TIMEOUT },
  async () => {
    const host = await startEmbeddedHost({ name: "kvm-free" });
    const traces = await tracesOf(host);
    try {
      expect(await virsh(host, "hostname")).toBe("kvm-free");
      expect(await virsh(host, "list", "--all", "--name")).toBe("");
      expect((await host.run("hostname", [])).stdout).toBe("kvm-free\n");
      expect((await host.run("test", ["-e", "/dev/kvm"])).exitCode).toBe(1);
      expect((await host.run("ls", ["/sys/class/net"])).stdout).toBe("lo\n");
      expect((await host.run("ping", ["-c", "1", "127.0.0.1"])).exitCode).toBe(0);
      expect((await host.run("cat", ["/proc/sys/net/ipv4/ip_forward"])).stdout).toBe("1\n");
      const [shell = "", ...enter] = host.shellCommand;
      expect((await runChecked(shell, [...enter, "-c", "hostname"])).stdout).toBe("kvm-free\n");
      expect((await leftovers(traces)).length).toBeGreaterThan(0);
    } finally {
      await host[Symbol.asyncDispose]();
    }
    expect(await leftovers(traces)).toEqual([]);
    await expect(host.run("true", [])).rejects.toMatchObject({ code: "LAB_HOST_STOPPED" });
    await expect(host.restartDaemon()).rejects.toMatchObject({ code: "LAB_HOST_STOPPED" });
    await host[Symbol.asyncDispose]();
  },
);

test(
  "two hosts at once do not see one another; a NAT network with DHCP starts in both",
  { timeout: TIMEOUT },
  async () => {
    await using first = await startEmbeddedHost();
    await using second = await startEmbeddedHost();
    const hosts = [first, second];
    const uuids = await Promise.all(hosts.map((host) => virsh(host, "capabilities")));
    expect(new Set(uuids.map((xml) => /<uuid>(.*)<\/uuid>/.exec(xml)?.[1])).size).toBe(2);
    const reservation = { mac: "52:54:00:00:00:02", address: "10.66.10.2" };
    for (const host of hosts) {
      const xml = natNetworkXml({ name: `of-${host.name}`, bridge: "same-bridge", ...reservation });
      await writeFile(join(host.directory, "network.xml"), xml);
      await virsh(host, "net-create", join(host.directory, "network.xml"));
      expect(await virsh(host, "net-list", "--name")).toBe(`of-${host.name}`);
      const rules = await host.run("iptables", ["-w", "-t", "nat", "-S"]);
      expect(rules.stdout).toContain("10.66.10.0/24");
    }
    await expect(access("/sys/class/net/same-bridge")).rejects.toMatchObject({ code: "ENOENT" });
    const traces = await tracesOf(first);
    await first[Symbol.asyncDispose]();
    expect(await leftovers(traces)).toEqual([]);
    expect(await virsh(second, "net-list", "--name")).toBe(`of-${second.name}`);
  },
);

test(
  "a killed daemon is gone, a restarted one knows what was defined before",
  { timeout: TIMEOUT },
  async () => {
    await using host = await startEmbeddedHost();
    const network = natNetworkXml({
      name: "kept",
      bridge: "kept",
      mac: "52:54:00:00:00:02",
      address: "10.66.10.2",
    });
    await writeFile(join(host.directory, "network.xml"), network);
    await virsh(host, "net-create", join(host.directory, "network.xml"));
    const dnsmasqBefore = (await host.run("pidof", ["dnsmasq"])).stdout;
    expect(dnsmasqBefore).toMatch(/^\d/);
    await host.killDaemon();
    await expect(virsh(host, "list")).rejects.toMatchObject({ code: "LAB_COMMAND_FAILED" });
    await host.killDaemon();
    await host.restartDaemon();
    expect(await virsh(host, "net-list", "--name")).toBe("kept");
    await host.restartDaemon();
    expect(await virsh(host, "net-list", "--name")).toBe("kept");
    expect((await host.run("pidof", ["dnsmasq"])).stdout).toBe(dnsmasqBefore);
  },
);

test(
  "a daemon that does not come up is an error with the reason",
  { timeout: TIMEOUT },
  async () => {
    await using host = await startEmbeddedHost();
    await appendFile(join(host.directory, "etc/libvirtd.conf"), "max_clients = nonsense\n");
    await expect(host.restartDaemon()).rejects.toMatchObject({
      code: "LAB_HOST_START_FAILED",
      message: expect.stringContaining("libvirtd.conf"),
    });
  },
);

test("an abort kills what runs inside", { timeout: TIMEOUT }, async () => {
  await using host = await startEmbeddedHost();
  const controller = new AbortController();
  const running = host.run("sleep", ["4242"], { signal: controller.signal });
  await expect.poll(async () => (await host.run("pidof", ["sleep"])).exitCode).toBe(0);
  controller.abort(new Error("enough"));
  await expect(running).rejects.toThrow("enough");
  await expect.poll(async () => (await host.run("pidof", ["sleep"])).exitCode).toBe(1);
});

test(
  "a start that is given up, too slow or fails half way leaves nothing",
  { timeout: TIMEOUT },
  async () => {
    await using folder = await temporaryFolder();
    const directory = join(folder.path, "host");
    const traces = { directory, namespaces: [] };
    const controller = new AbortController();
    const aborted = startEmbeddedHost({
      directory,
      signal: controller.signal,
      onProgress: () => setTimeout(() => controller.abort(new Error("changed my mind")), 150),
    });
    await expect(aborted).rejects.toThrow("changed my mind");
    expect(await lastingLeftovers(traces)).toEqual([]);

    for (const timeoutMilliseconds of [1, 100, 300]) {
      const slow = startEmbeddedHost({ directory, timeoutMilliseconds });
      await expect(slow).rejects.toMatchObject({ code: "LAB_TIMEOUT" });
      expect(await lastingLeftovers(traces)).toEqual([]);
    }
  },
);

test("a first process that fails says why, and leaves nothing", { timeout: TIMEOUT }, async () => {
  await using folder = await temporaryFolder();
  const directory = await createHostDirectory("broken", join(folder.path, "host"));
  await rm(join(directory, "log"), { recursive: true });
  const { signal } = new AbortController();
  await expect(
    startHostNamespaces({ directory, name: "broken", detached: false, signal }),
  ).rejects.toMatchObject({
    code: "LAB_HOST_START_FAILED",
    message: expect.stringContaining("/log"),
  });
  expect(await leftovers({ directory, namespaces: [] })).toEqual([]);
});

test("a directory may have any name", { timeout: TIMEOUT }, async () => {
  await using folder = await temporaryFolder();
  await using host = await startEmbeddedHost({ directory: join(folder.path, "a b#c&d%41?'") });
  expect(await virsh(host, "hostname")).toBe(host.name);
  await host[Symbol.asyncDispose]();
  await expect(access(host.directory)).rejects.toMatchObject({ code: "ENOENT" });
});

test("names and directories that cannot work are refused before anything starts", async () => {
  await using folder = await temporaryFolder();
  const invalid = { code: "LAB_INVALID" };
  await expect(startEmbeddedHost({ name: "under_score" })).rejects.toMatchObject(invalid);
  await expect(startEmbeddedHost({ name: "-x" })).rejects.toMatchObject(invalid);
  const long = join(folder.path, "x".repeat(90));
  await expect(startEmbeddedHost({ directory: long })).rejects.toMatchObject(invalid);
  await expect(startEmbeddedHost({ directory: "/run/polyvisor-test" })).rejects.toMatchObject(
    invalid,
  );
  await mkdir(join(folder.path, "full/inside"), { recursive: true });
  const full = join(folder.path, "full");
  await expect(startEmbeddedHost({ directory: full })).rejects.toMatchObject(invalid);
  await access(join(full, "inside"));
  await expect(access(long)).rejects.toMatchObject({ code: "ENOENT" });
});

async function ownHostInAnotherProcess(ending: string) {
  const fixture = fileURLToPath(new URL("./host-owner.fixture.ts", import.meta.url));
  const owner = spawn(process.execPath, [fixture, ending], { stdio: ["ignore", "pipe", "pipe"] });
  const errors = text(owner.stderr);
  for await (const line of createInterface({ input: owner.stdout })) {
    return { owner, description: JSON.parse(line) as EmbeddedHostDescription };
  }
  throw new Error(`The owner did not start a host: ${await errors}`);
}

test("a host ends with its owner that is killed", { timeout: TIMEOUT }, async () => {
  const { owner, description } = await ownHostInAnotherProcess("killed");
  const traces = await tracesOf(description);
  expect(await virsh(description, "hostname")).toBe(description.name);
  owner.kill("SIGKILL");
  expect(await lastingLeftovers(traces)).toEqual([]);
});

test("a host ends with its owner that just finishes", { timeout: TIMEOUT }, async () => {
  const { owner, description } = await ownHostInAnotherProcess("finished");
  if (owner.exitCode === null) await once(owner, "exit");
  expect(owner.exitCode).toBe(0);
  expect(await lastingLeftovers({ ...description, namespaces: [] })).toEqual([]);
});

test.each([
  ["removeEmbeddedHost", ({ directory }: EmbeddedHostDescription) => removeEmbeddedHost(directory)],
  [
    "its removeCommand",
    async ({ removeCommand: [command = "", ...commandArguments] }: EmbeddedHostDescription) => {
      await runChecked(command, commandArguments);
    },
  ],
])("a detached host outlives its owner until %s", { timeout: TIMEOUT }, async (_way, remove) => {
  const { owner, description } = await ownHostInAnotherProcess("detached");
  try {
    if (owner.exitCode === null) await once(owner, "exit");
    const traces = await tracesOf(description);
    expect(await virsh(description, "hostname")).toBe(description.name);
    await remove(description);
    expect(await lastingLeftovers(traces)).toEqual([]);
  } finally {
    await removeEmbeddedHost(description.directory).catch(() => undefined);
  }
});

test("only the directory of a host is removed, also of one that has ended long ago", async () => {
  await using folder = await temporaryFolder();
  const foreign = join(folder.path, "foreign");
  await mkdir(foreign);
  await expect(removeEmbeddedHost(foreign)).rejects.toMatchObject({ code: "LAB_INVALID" });
  await writeFile(join(foreign, "host.json"), '{"pid": 1}');
  await expect(removeEmbeddedHost(foreign)).rejects.toMatchObject({ code: "LAB_INVALID" });
  await access(foreign);
  // This process, but with another start time: its id has been given to someone else since.
  const bootId = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const record = { name: "old", pid: process.pid, startTime: 1, bootId };
  await writeFile(join(foreign, "host.json"), JSON.stringify(record));
  await removeEmbeddedHost(foreign);
  await expect(access(foreign)).rejects.toMatchObject({ code: "ENOENT" });
});
