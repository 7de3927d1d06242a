import type { GuestDisk, GuestSpec, GuestState, HypervisorEvent } from "@polyvisor/core";
import { libvirtBackend, type LibvirtHypervisor } from "@polyvisor/backend-libvirt";
import {
  type EmbeddedHost,
  requireDebianPackages,
  startEmbeddedHost,
} from "@polyvisor/backend-libvirt/lab";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { bootingGuest, emptyDisk, idleGuest, inventory, names, run } from "./support/lab-host.ts";

const never = new AbortController().signal;
const node = "node-1";
const place = { host: node };
const timeout = 120_000;
const MEBIBYTE = 2 ** 20;

let host: EmbeddedHost;
let hypervisor: LibvirtHypervisor;
beforeAll(async () => {
  await requireDebianPackages([
    { package: "ovmf", command: "/usr/share/OVMF/OVMF_CODE_4M.fd" },
    { package: "swtpm-tools", command: "/usr/bin/swtpm_setup" },
  ]);
  host = await startEmbeddedHost();
  hypervisor = await openHypervisor();
}, 300_000);
afterAll(async () => {
  await hypervisor[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});
afterEach(async () => {
  const { guests } = await hypervisor.guests(never);
  for (const guest of guests) {
    await hypervisor.stopGuest(guest, place, "power-off", never);
    await hypervisor.removeGuest(guest.uid, place, never);
  }
  expect(await inventory(host)).toEqual({ domains: [], networks: [], pools: [] });
});

async function openHypervisor(): Promise<LibvirtHypervisor> {
  const opened = libvirtBackend({ hosts: { [node]: host.uri } }).hypervisor;
  await opened.open(never);
  return opened;
}

async function state(uid: string): Promise<GuestState | undefined> {
  return (await hypervisor.guests(never)).guests.find((guest) => guest.uid === uid);
}

/** Starts a guest with an operating system, which carries out these commands. */
async function booting(name: string, ...commands: string[]): Promise<GuestSpec> {
  const spec: GuestSpec = {
    ...(await bootingGuest(host, name)),
    cloudInit: {
      userData: `#cloud-config\nruncmd:\n${commands.map((each) => `- ${each}\n`).join("")}`,
      metaData: `instance-id: "1"\nlocal-hostname: "${name}"\n`,
    },
  };
  await hypervisor.startGuest(spec, place, never);
  return spec;
}

/** {@link booting}, until the agent answers. */
async function withAgent(name: string, ...commands: string[]): Promise<GuestSpec> {
  const spec = await booting(name, ...commands);
  await expect
    .poll(() => state(spec.uid), { timeout: 60_000, interval: 200 })
    .toMatchObject({ agentConnected: true });
  return spec;
}

const disk = (name: string, mebibytes: number): Promise<GuestDisk> =>
  emptyDisk(host, name, mebibytes);

describe("sorts of guests", () => {
  const sorts: readonly [string, Partial<GuestSpec["machine"]>][] = [
    ["UEFI", { firmware: "efi" }],
    ["secure boot and a TPM", { firmware: "efi-secure-boot", tpm: true }],
    ["Windows", { osType: "windows" }],
    ["emulated devices", { paravirtualized: false }],
    ["legacy devices", { osType: "legacy" }],
    ["emulated legacy devices", { osType: "legacy", paravirtualized: false }],
  ];

  it.each(sorts)(
    "with %s run, and leave nothing behind",
    async (_, machine) => {
      const guest = idleGuest("sort");
      const spec = {
        ...guest,
        machine: { ...guest.machine, ...machine },
        answerFiles: { "autounattend.xml": "<unattend/>" },
        disks: [await disk("vd-root", 8)],
      };
      expect(await hypervisor.startGuest(spec, place, never)).toMatchObject({
        power: "running",
        disks: ["vd-root"],
      });
      await hypervisor.stopGuest(spec, place, "power-off", never);
      await hypervisor.removeGuest(spec.uid, place, never);
      const places = "/var/lib/libvirt/qemu/nvram /var/lib/libvirt/swtpm";
      const left = await run(host, "sh", "-c", `find ${places} -type f 2>/dev/null; true`);
      expect(left).toBe("");
    },
    timeout,
  );

  it("that need what the host's CPU lacks are refused", async () => {
    const guest = idleGuest("features");
    const model = { mode: "features", features: ["sse2", "no-such-feature"] } as const;
    await expect(
      hypervisor.startGuest({ ...guest, cpu: { ...guest.cpu, model } }, place, never),
    ).rejects.toMatchObject({
      code: "POLYVISOR_REFUSED",
      message: expect.stringContaining("lacks no-such-feature") as string,
    });
  });

  it("are known by the CPU of their host", async () => {
    const [found] = await hypervisor.hosts(never);
    expect(found?.cpu?.features).toContain("sse2");
    expect(found?.cpu?.models).toContain("Nehalem");
  });
});

it("ends a guest that reboots, and remembers why", { timeout }, async () => {
  // The guest may be gone before anybody sees that its agent was there.
  const spec = await booting("again", "reboot -f");
  await expect
    .poll(() => state(spec.uid), { timeout: 60_000 })
    .toMatchObject({ power: "stopped", stopReason: "guest-reset" });
  await expect
    .poll(() => run(host, "virsh", "dumpxml", "--inactive", "default_again"))
    .toContain("guest-reset");
  const other = await openHypervisor();
  const { guests } = await other.guests(never);
  await other[Symbol.asyncDispose]();
  expect(guests).toMatchObject([{ uid: spec.uid, stopReason: "guest-reset" }]);
  const next = { ...spec, incarnation: 2 };
  expect(await hypervisor.startGuest(next, place, never)).toMatchObject({ power: "running" });
});

describe("hotplug", () => {
  it("gives a running guest disks, and takes them away again", { timeout }, async () => {
    const spec = await withAgent("plug");
    const hotplug = hypervisor.hotplug;
    const added = await disk("vd-more.of-it", 16);
    const seen: HypervisorEvent[] = [];
    const ending = new AbortController();
    const watching = (async () => {
      for await (const event of hypervisor.watch(ending.signal)) seen.push(event);
    })();
    await hotplug.attachDisk(spec, node, added, never);
    await hotplug.attachDisk(spec, node, added, never);
    expect((await state(spec.uid))?.disks).toEqual(["vd-root", "vd-more.of-it"]);
    await hotplug.detachDisk(spec, node, added.name, never);
    await hotplug.detachDisk(spec, node, added.name, never);
    expect((await state(spec.uid))?.disks).toEqual(["vd-root"]);
    const told = (): unknown =>
      seen.flatMap((event) => (event.type === "guest" ? [event.guest.disks] : []));
    await expect.poll(told).toContainEqual(["vd-root", "vd-more.of-it"]);
    await expect.poll(() => (told() as unknown[]).at(-1)).toEqual(["vd-root"]);
    ending.abort();
    await watching;
  });

  it("takes more disks than a controller of libvirt's own choice would", { timeout }, async () => {
    const spec = { ...idleGuest("many"), disks: [await disk("vd-root", 8)] };
    await hypervisor.startGuest(spec, place, never);
    for (let number = 1; number <= 20; number += 1) {
      const more = await disk(`vd-${number}`, 1);
      await hypervisor.hotplug.attachDisk(spec, node, more, never);
    }
    expect((await state(spec.uid))?.disks).toHaveLength(21);
  });

  it("tells a guest that a disk has grown, and shrinks none", { timeout }, async () => {
    const spec = { ...idleGuest("grow"), disks: [await disk("vd-root", 8)] };
    await hypervisor.startGuest(spec, place, never);
    const resizeDisk = (bytes: number): Promise<void> =>
      hypervisor.hotplug.resizeDisk(spec, node, "vd-root", bytes, never);
    await resizeDisk(24 * MEBIBYTE);
    await resizeDisk(24 * MEBIBYTE);
    expect(await run(host, "virsh", "domblkinfo", "default_grow", "sda")).toMatch(
      /Capacity:\s+25165824\s/,
    );
    await expect(resizeDisk(16 * MEBIBYTE)).rejects.toMatchObject({ code: "POLYVISOR_REFUSED" });
  });

  it("gives a running guest network cards, and takes them away again", { timeout }, async () => {
    const spec = await withAgent("cards");
    const card = {
      cidr: "10.66.20.0/24",
      gateway: "10.66.20.1",
      mac: "5e:50:0a:42:14:07",
      address: "10.66.20.7",
    };
    const networks = (): Promise<string[]> => names(host, "net-list");
    await hypervisor.hotplug.attachInterface(spec, node, card, never);
    await hypervisor.hotplug.attachInterface(spec, node, card, never);
    expect(await networks()).toEqual(["polyvisor-10.66.10.0-24", "polyvisor-10.66.20.0-24"]);
    const macs = (): Promise<string> => run(host, "virsh", "domiflist", "default_cards");
    expect(await macs()).toContain(card.mac);
    await hypervisor.hotplug.detachInterface(spec, node, card.mac, never);
    await hypervisor.hotplug.detachInterface(spec, node, card.mac, never);
    expect(await macs()).not.toContain(card.mac);
    expect(await networks()).toEqual(["polyvisor-10.66.10.0-24"]);
    // One that is there at the end goes with the guest, and its network with it.
    await hypervisor.hotplug.attachInterface(spec, node, card, never);
  });

  it("limits what a disk may carry", { timeout }, async () => {
    const spec = { ...idleGuest("slow"), disks: [await disk("vd-root", 8)] };
    await hypervisor.startGuest(spec, place, never);
    const limit = { writeBytesPerSecond: 1_048_576, readsPerSecond: 100 };
    await hypervisor.hotplug.limitDisk(spec, node, "vd-root", limit, never);
    const tune = (): Promise<string> => run(host, "virsh", "blkdeviotune", "default_slow", "sda");
    expect(await tune()).toMatch(/write_bytes_sec: 1048576\n(.*\n)*read_iops_sec {2}: 100\n/);
    await hypervisor.hotplug.limitDisk(spec, node, "vd-root", {}, never);
    expect(await tune()).toMatch(/write_bytes_sec: 0\n/);
    await expect(
      hypervisor.hotplug.limitDisk(spec, node, "vd-none", limit, never),
    ).rejects.toMatchObject({ code: "POLYVISOR_REFUSED" });
  });

  it("says when a guest does not let go of a disk", { timeout: 180_000 }, async () => {
    const guest = idleGuest("stubborn");
    // Without a system nobody answers the button of a PCI slot, in which a disk of virtio-blk is.
    const spec: GuestSpec = {
      ...guest,
      machine: { ...guest.machine, osType: "legacy" },
      disks: [await disk("vd-root", 8)],
    };
    await hypervisor.startGuest(spec, place, never);
    const detached = hypervisor.hotplug.detachDisk(spec, node, "vd-root", never);
    await expect(detached).rejects.toMatchObject({ code: "POLYVISOR_TIMEOUT" });
    expect((await state(spec.uid))?.disks).toEqual(["vd-root"]);
  });

  it("refuses guests that do not run, or have no place for a disk", { timeout }, async () => {
    const guest = idleGuest("off");
    const hotplug = hypervisor.hotplug;
    const added = await disk("vd-1", 1);
    const refused = { code: "POLYVISOR_REFUSED" };
    await expect(hotplug.attachDisk(guest, node, added, never)).rejects.toMatchObject(refused);
    const legacy: GuestSpec = {
      ...guest,
      machine: { ...guest.machine, osType: "legacy", paravirtualized: false },
    };
    await hypervisor.startGuest(legacy, place, never);
    await expect(hotplug.attachDisk(legacy, node, added, never)).rejects.toMatchObject(refused);
  });
});

describe("the agent of a guest", () => {
  it("tells of the guest, and brings its file systems to rest and back", { timeout }, async () => {
    const spec = await withAgent("told");
    const agent = hypervisor.agent;
    await expect
      .poll(() => agent.info(spec, node, never), { timeout: 60_000 })
      .toMatchObject({
        version: expect.stringMatching(/^\d+\.\d+/) as string,
        supported: true,
        osName: "Polyvisor guest (Linux with busybox)",
        hostName: "told",
        addresses: expect.arrayContaining(["10.66.10.2"]) as string[],
      });
    await agent.freeze(spec, node, { timeoutSeconds: 60, signal: never });
    await agent.freeze(spec, node, { timeoutSeconds: 60, signal: never });
    expect(await state(spec.uid)).toMatchObject({ frozen: true });
    await agent.thaw(spec, node, never);
    await agent.thaw(spec, node, never);
    expect(await state(spec.uid)).toMatchObject({ frozen: false });
  });

  it("has the clock, the passwords and the keys of the guest", { timeout }, async () => {
    const spec = await withAgent("kept");
    const { agent } = hypervisor;
    const apart = Math.abs((await agent.time(spec, node, never)).getTime() - Date.now());
    expect(apart).toBeLessThan(3_600_000);
    const keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA a@b"];
    await agent.setAuthorizedKeys(spec, node, { user: "root", keys }, never);
    expect(await agent.authorizedKeys(spec, node, "root", never)).toEqual(keys);
    // The small guest has no program that sets passwords, and its agent says so.
    const secret = { user: "root", password: "correct horse" };
    const failure: unknown = await agent.setPassword(spec, node, secret, never).catch(String);
    expect(failure).toMatch(/passwd/);
    expect(failure).not.toMatch(/correct horse/);
  });

  it("lets a guest go on that nobody thaws", { timeout }, async () => {
    const spec = await withAgent("forgotten");
    const options = { timeoutSeconds: 2, signal: never };
    await hypervisor.agent.freeze(spec, node, options);
    await expect.poll(() => state(spec.uid), { timeout: 20_000 }).toMatchObject({ frozen: false });
  });

  it("lets a guest go on whose freezer has died", { timeout }, async () => {
    const spec = await withAgent("orphan");
    const other = await openHypervisor();
    await other.agent.freeze(spec, node, { timeoutSeconds: 2, signal: never });
    await other[Symbol.asyncDispose]();
    expect(await state(spec.uid)).toMatchObject({ frozen: true });
    const third = await openHypervisor();
    await expect.poll(() => state(spec.uid), { timeout: 20_000 }).toMatchObject({ frozen: false });
    await third[Symbol.asyncDispose]();
  });

  it("is missed, not waited for, where there is none", { timeout }, async () => {
    const spec = idleGuest("mute");
    await hypervisor.startGuest(spec, place, never);
    expect(await state(spec.uid)).toMatchObject({ agentConnected: false });
    const agent = hypervisor.agent;
    const missing = { code: "POLYVISOR_UNAVAILABLE" };
    await expect(agent.info(spec, node, never)).rejects.toMatchObject(missing);
    const freezing = agent.freeze(spec, node, { timeoutSeconds: 5, signal: never });
    await expect(freezing).rejects.toMatchObject(missing);
    await expect(agent.thaw(spec, node, never)).rejects.toMatchObject(missing);
  });

  it("is missed once it hangs", { timeout: 180_000 }, async () => {
    const spec = await withAgent("hung", "killall -STOP qemu-ga");
    const missing = { code: "POLYVISOR_UNAVAILABLE" };
    await expect
      .poll(() => hypervisor.agent.info(spec, node, never).catch((error: unknown) => error), {
        timeout: 60_000,
      })
      .toMatchObject(missing);
    // The power button needs no agent.
    await hypervisor.stopGuest(spec, place, "shutdown", never);
    await expect
      .poll(() => state(spec.uid), { timeout: 60_000 })
      .toMatchObject({ power: "stopped", stopReason: "guest-shutdown" });
  });
});

describe("screens", () => {
  it("are taken pictures of", { timeout }, async () => {
    const spec = idleGuest("pictured");
    await hypervisor.startGuest(spec, place, never);
    const picture = Buffer.from(await hypervisor.consoles.screenshot(spec, { signal: never }));
    expect(picture.subarray(1, 4).toString()).toBe("PNG");
    expect(picture.readUInt32BE(16)).toBeGreaterThan(100);
  });

  it("are streams of the RFB protocol", { timeout }, async () => {
    const spec = idleGuest("seen");
    await hypervisor.startGuest(spec, place, never);
    await using screen = await hypervisor.consoles.openVnc(spec, { signal: never });
    for await (const bytes of screen) {
      expect(Buffer.from(bytes).toString()).toBe("RFB 003.008\n");
      break;
    }
  });
});

describe("a daemon that is restarted in the middle", () => {
  it("finds disks, file systems and consoles as they should be", { timeout: 240_000 }, async () => {
    const spec = await withAgent("steady");
    const added = await disk("vd-more", 8);
    const { hotplug, agent, consoles } = hypervisor;
    await using console = await consoles.openSerial(spec, { signal: never });
    let printed = "";
    const reading = (async () => {
      for await (const bytes of console) printed += Buffer.from(bytes).toString();
    })();
    await agent.freeze(spec, node, { timeoutSeconds: 5, signal: never });
    const attaching = hotplug.attachDisk(spec, node, added, never).catch(() => {});
    await host.killDaemon();
    await attaching;
    await host.restartDaemon();
    await expect
      .poll(() => state(spec.uid), { timeout: 60_000 })
      .toMatchObject({ power: "running", frozen: false });
    // The daemon was killed at any moment: what only QEMU knows of is refused with a reason, all else is put right.
    const problem = await hotplug.attachDisk(spec, node, added, never).catch(String);
    if (problem === undefined) {
      expect((await state(spec.uid))?.disks).toContain("vd-more");
      await hotplug.detachDisk(spec, node, "vd-more", never);
    } else expect(problem).toMatch(/stop and start the guest/);
    expect((await state(spec.uid))?.disks).not.toContain("vd-more");
    const before = printed.length;
    await expect
      .poll(
        async () => {
          await console.write(Buffer.from("\r")).catch(() => {});
          return printed.length;
        },
        { timeout: 60_000, interval: 500 },
      )
      .toBeGreaterThan(before);
    await hypervisor.stopGuest(spec, place, "power-off", never);
    await reading.catch(() => {});
  });
});
