import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { GuestDisk, GuestSpec } from "@polyvisor/core";
import { buildGuestImage, type EmbeddedHost } from "@polyvisor/backend-libvirt/lab";

/** Runs a command on a host and gives its output. Fails when the command does. */
export async function run(host: EmbeddedHost, command: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await host.run(command, args);
  if (exitCode !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr || stdout}`);
  return stdout.trim();
}

/** Names that `virsh list`, `net-list` or `pool-list` shows. */
export async function names(
  host: EmbeddedHost,
  list: "list" | "net-list" | "pool-list",
): Promise<string[]> {
  return (await run(host, "virsh", list, "--all", "--name")).split("\n").filter(Boolean).sort();
}

/** Everything that a host has of domains, networks and pools. */
export async function inventory(host: EmbeddedHost): Promise<Record<string, string[]>> {
  const [domains, networks, pools] = await Promise.all(
    (["list", "net-list", "pool-list"] as const).map((list) => names(host, list)),
  );
  return { domains: domains ?? [], networks: networks ?? [], pools: pools ?? [] };
}

/** A guest without operating system: it runs, and does nothing. */
export function idleGuest(name: string): GuestSpec {
  return {
    uid: randomUUID(),
    incarnation: 1,
    namespace: "default",
    name,
    machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
    cpu: { sockets: 1, coresPerSocket: 1, fractionPercent: 100, model: { mode: "host-model" } },
    memoryBytes: 64 * 2 ** 20,
    disks: [],
    interfaces: [
      {
        cidr: "10.66.10.0/24",
        gateway: "10.66.10.1",
        mac: "5e:50:0a:42:0a:02",
        address: "10.66.10.2",
      },
    ],
  };
}

/** A guest that boots the small guest image. */
export async function bootingGuest(host: EmbeddedHost, name: string): Promise<GuestSpec> {
  const { path: image } = await buildGuestImage();
  const guest = idleGuest(name);
  const path = join(host.directory, `${guest.uid}.qcow2`);
  await run(host, "qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", path);
  return {
    ...guest,
    memoryBytes: 256 * 2 ** 20,
    disks: [
      {
        name: "vd-root",
        serial: "0123456789",
        source: { type: "file", path, format: "qcow2" },
        device: "disk",
        readOnly: false,
        bootOrder: 1,
      },
    ],
  };
}

/** An empty disk for a guest on the host. */
export async function emptyDisk(
  host: EmbeddedHost,
  name: string,
  mebibytes = 8,
): Promise<GuestDisk> {
  const path = join(host.directory, `${name}.raw`);
  await run(host, "qemu-img", "create", "-q", "-f", "raw", path, `${mebibytes}M`);
  return {
    name,
    serial: name.replaceAll(/[^a-z0-9]/g, ""),
    source: { type: "file", path, format: "raw" },
    device: "disk",
    readOnly: false,
  };
}

/** Starts a domain without our mark, and gives its name. */
export async function startUnknownGuest(host: EmbeddedHost, name: string): Promise<string> {
  const path = join(host.directory, `${name}.xml`);
  await writeFile(
    path,
    `<domain type="qemu"><name>${name}</name><memory unit="MiB">64</memory><vcpu>1</vcpu>
      <os><type arch="x86_64" machine="q35">hvm</type></os></domain>`,
  );
  await run(host, "virsh", "create", path);
  return name;
}
