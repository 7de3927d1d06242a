import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  buildGuestImage,
  requireDebianPackages,
  startEmbeddedHost,
  type EmbeddedHost,
  type GuestImage,
} from "../../src/lab/index.ts";
import { runChecked } from "../../src/lab/run-command.ts";
import { guestDomainXml, natNetworkXml } from "./guest-domain.ts";
import { SerialConsole } from "./serial-console.ts";

const BOOT_TIMEOUT = 90_000;
const ADDRESS = "10.66.10.2";
const MAC = "52:54:00:00:00:02";
const PASSWORD = "open sesame";
const PASSWORD_HASH =
  "$6$polyvisortest$DAUuRDYWznBF8Ld2Ql8QeKiXZigfRcjKD3Ic6y8bIQgSqfxr6.WYfV3r8wsyPMMugPm9yovK1SbphDqj.c6LP0";
const USER_DATA = `#cloud-config
ssh_pwauth: true
users:
  - default
  - name: root
    passwd: ${PASSWORD_HASH}
  - name: alice
    lock_passwd: false
    passwd: ${PASSWORD_HASH}
  - name: mallory
    lock_passwd: true
    passwd: ${PASSWORD_HASH}
runcmd:
  - [sh, -c, "echo from-a-list > /run/first"]
  - echo "from a $((40 + 2))" > /run/second
  - cut -d '$' -f 1-3 /etc/shadow | cut -d ':' -f 1-2 > /run/third
`;

let folder: string;
let image: GuestImage;
let host: EmbeddedHost;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyvisor-test-"));
  await requireDebianPackages([
    { package: "genisoimage", command: "genisoimage" },
    { package: "iputils-ping", command: "ping" },
  ]);
  image = await buildGuestImage({ cacheDirectory: join(folder, "cache") });
  host = await startEmbeddedHost();
  const network = natNetworkXml({ name: "lan", bridge: "lan", mac: MAC, address: ADDRESS });
  await virsh("net-create", await hostFile("network.xml", network));
}, 300_000);

afterAll(async () => {
  await host?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

async function virsh(...command: string[]): Promise<string> {
  return (await runChecked("virsh", ["--connect", host.uri, ...command])).stdout.trim();
}

async function hostFile(name: string, content: string): Promise<string> {
  const path = join(host.directory, name);
  await writeFile(path, content);
  return path;
}

async function makeSeed(name: string, bus: "scsi" | "virtio"): Promise<string> {
  const directory = join(folder, `seed-${name}`);
  await mkdir(directory);
  const metaData = join(directory, "meta-data");
  const userData = join(directory, "user-data");
  await writeFile(metaData, `instance-id: "i-1"\nlocal-hostname: "${name}"\n`);
  await writeFile(userData, USER_DATA);
  const seed = join(host.directory, `${name}.seed`);
  if (bus === "scsi") {
    const options = ["-quiet", "-J", "-R", "-V", "cidata", "-o", seed];
    await runChecked("genisoimage", [...options, metaData, userData]);
  } else {
    await runChecked("/usr/sbin/mkfs.vfat", ["-n", "CIDATA", "-C", seed, "1024"]);
    await runChecked("mcopy", ["-i", seed, metaData, userData, "::"]);
  }
  return seed;
}

async function defineGuest(
  name: string,
  bus: "scsi" | "virtio",
  seeded = true,
): Promise<{ readonly serialLog: string; readonly serialSocket: string }> {
  const disk = join(host.directory, `${name}.qcow2`);
  const overlay = ["-q", "-f", "qcow2", "-F", "qcow2", "-b", image.path, disk];
  await runChecked("qemu-img", ["create", ...overlay]);
  const seed = seeded ? await makeSeed(name, bus) : undefined;
  const serialLog = join(host.directory, `${name}.log`);
  const serialSocket = join(host.directory, "run", `${name}.sock`);
  const xml = guestDomainXml({
    name,
    bus,
    disk,
    seed,
    network: "lan",
    mac: MAC,
    serialLog,
    serialSocket,
  });
  await virsh("define", await hostFile(`${name}.xml`, xml));
  return { serialLog, serialSocket };
}

async function untilLogin(serialLog: string, prompt: string): Promise<string> {
  const read = (): Promise<string> => readFile(serialLog, "latin1");
  await expect.poll(read, { timeout: BOOT_TIMEOUT, interval: 50 }).toContain(`${prompt} login: `);
  return read();
}

async function untilShutOff(name: string, milliseconds: number): Promise<void> {
  const state = (): Promise<string> => virsh("domstate", name);
  await expect.poll(state, { timeout: milliseconds, interval: 50 }).toBe("shut off");
}

test(
  "the image is a small qcow2 file and comes from the cache the second time",
  { timeout: 60_000 },
  async () => {
    const progress: string[] = [];
    const again = await buildGuestImage({
      cacheDirectory: join(folder, "cache"),
      onProgress: (message) => progress.push(message),
    });
    expect(again).toEqual(image);
    expect(progress).toEqual([]);
    expect(image.sizeBytes).toBeLessThan(32 * 1024 * 1024);
    const info = await runChecked("qemu-img", ["info", "--output=json", image.path]);
    expect(JSON.parse(info.stdout)).toMatchObject({
      format: "qcow2",
      "virtual-size": 64 * 1024 * 1024,
    });
    const [key = "", ...others] = await readdir(join(folder, "cache"));
    expect(others).toEqual([]);
    expect((await readdir(join(folder, "cache", key))).sort()).toEqual([
      "image.json",
      "image.qcow2",
    ]);
  },
);

test("an abort ends a build and leaves nothing in the cache", { timeout: 60_000 }, async () => {
  const cacheDirectory = join(folder, "aborted");
  const controller = new AbortController();
  const build = buildGuestImage({
    cacheDirectory,
    signal: controller.signal,
    onProgress: () => setTimeout(() => controller.abort(new Error("enough")), 500),
  });
  await expect(build).rejects.toThrow("enough");
  expect(await readdir(cacheDirectory)).toEqual([]);
});

test(
  "a guest takes name, user and address from a CD-ROM on scsi, and powers off by button",
  { timeout: 2 * BOOT_TIMEOUT },
  async () => {
    const { serialLog, serialSocket } = await defineGuest("linux-vm", "scsi");
    await virsh("start", "linux-vm");
    const booted = await untilLogin(serialLog, "linux-vm");
    expect(booted).toMatch(new RegExp(`^linux-vm ${ADDRESS.replaceAll(".", "\\.")}\r?$`, "m"));
    expect((await host.run("ping", ["-c", "1", "-W", "5", ADDRESS])).exitCode).toBe(0);
    expect(await virsh("domifaddr", "linux-vm", "--source", "lease")).toContain(`${ADDRESS}/24`);
    expect(await virsh("net-dhcp-leases", "lan")).toContain("linux-vm");
    expect(await virsh("domhostname", "linux-vm", "--source", "agent")).toBe("linux-vm");
    expect(await virsh("domifaddr", "linux-vm", "--source", "agent")).toContain(ADDRESS);
    const ping = await virsh("qemu-agent-command", "linux-vm", '{"execute":"guest-ping"}');
    expect(JSON.parse(ping)).toEqual({ return: {} });

    using console = await SerialConsole.connect(serialSocket);
    console.type("\n");
    for (const [user, password] of [
      ["alice", "wrong"],
      ["mallory", PASSWORD],
    ]) {
      await console.expect(/linux-vm login: /);
      console.type(`${user}\n`);
      await console.expect(/Password: /);
      console.type(`${password}\n`);
      await console.expect(/Login incorrect/);
    }
    await console.expect(/linux-vm login: /);
    console.type("alice\n");
    await console.expect(/Password: /);
    console.type(`${PASSWORD}\n`);
    await console.expect(/\$ /);
    console.type(
      "echo $(id -un) in $(pwd) on $(hostname); cat /run/first /run/second /run/third\n",
    );
    const expected = [
      "alice in /home/alice on linux-vm",
      "from-a-list",
      "from a 42",
      "root:$6$polyvisortest",
      "alice:$6$polyvisortest",
      "mallory:NP",
    ];
    expect(await console.expect(/mallory:.*\r\n/)).toContain(`\n${expected.join("\r\n")}\r\n`);

    const pid = (await host.run("pidof", ["qemu-system-x86_64"])).stdout;
    await host.restartDaemon();
    expect(await virsh("domstate", "linux-vm")).toBe("running");
    expect((await host.run("pidof", ["qemu-system-x86_64"])).stdout).toBe(pid);

    await virsh("shutdown", "linux-vm", "--mode", "acpi");
    await untilShutOff("linux-vm", 15_000);
  },
);

test(
  "the seed is found as a FAT disk on virtio as well, and the agent powers off",
  { timeout: 2 * BOOT_TIMEOUT },
  async () => {
    const { serialLog } = await defineGuest("on-virtio", "virtio");
    await virsh("start", "on-virtio");
    expect(await untilLogin(serialLog, "on-virtio")).toContain(`on-virtio ${ADDRESS}`);
    await virsh("shutdown", "on-virtio", "--mode", "agent");
    await untilShutOff("on-virtio", 15_000);
  },
);

test(
  "a guest without a seed is called guest, and reboots",
  { timeout: 3 * BOOT_TIMEOUT },
  async () => {
    const { serialLog } = await defineGuest("seedless", "scsi", false);
    await virsh("start", "seedless");
    expect(await untilLogin(serialLog, "guest")).toContain(`guest ${ADDRESS}`);
    await virsh("reboot", "seedless", "--mode", "agent");
    const prompts = async (): Promise<number> =>
      (await readFile(serialLog, "latin1")).split("guest login: ").length - 1;
    await expect.poll(prompts, { timeout: BOOT_TIMEOUT, interval: 50 }).toBe(2);
    await virsh("destroy", "seedless");
  },
);
