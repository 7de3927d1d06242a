import { access } from "node:fs/promises";
import { type LabHost, startLab } from "@polyvisor/backend-libvirt/lab";
import {
  openConnection,
  parseLibvirtUri,
  procedures,
  createStreamFactory,
} from "@polyvisor/backend-libvirt/rpc";
import { expect, it } from "vitest";
import { leftovers, tracesOf } from "./host-traces.ts";

const timeout = 120_000;

async function reaches(from: LabHost, to: LabHost): Promise<boolean> {
  return (await from.run("ping", ["-c", "1", "-W", "1", to.address])).exitCode === 0;
}

/** The name that a daemon gives over the network, or `undefined` when it is silent. */
async function answer({ networkUri }: LabHost, milliseconds: number): Promise<string | undefined> {
  const { transport, driverUri: uri } = parseLibvirtUri(networkUri);
  try {
    const connection = await openConnection({
      connect: createStreamFactory(transport),
      uri,
      openDeadlineMs: milliseconds,
    });
    const { hostname } = await connection.call(procedures.connectGetHostname, {});
    await connection.close();
    return hostname;
  } catch {
    return undefined;
  }
}

it(
  "has hosts that reach one another and can be cut off, paused and killed",
  { timeout },
  async () => {
    const lab = await startLab();
    const [first, second] = lab.hosts as [LabHost, LabHost];
    const traces = await Promise.all(lab.hosts.map(tracesOf));
    try {
      expect(await answer(first, 10_000)).toBe("node-1");
      const peer = await first.run("virsh", ["-c", second.peerUri, "hostname"]);
      expect(peer.stdout.trim()).toBe("node-2");
      await first.run("sh", ["-c", `echo same > ${lab.sharedDirectory}/file`]);
      expect((await second.run("cat", [`${lab.sharedDirectory}/file`])).stdout).toBe("same\n");

      await second.cutOff();
      expect(await reaches(first, second)).toBe(false);
      expect(await answer(second, 1_000)).toBeUndefined();
      await second.rejoin();
      expect(await reaches(first, second)).toBe(true);

      await second.pause();
      // The kernel still answers, and nobody else.
      expect(await reaches(first, second)).toBe(true);
      expect(await answer(second, 1_000)).toBeUndefined();
      await second.resume();
      expect(await answer(second, 10_000)).toBe("node-2");

      await second.kill();
      expect(await reaches(first, second)).toBe(false);
      await expect(second.run("true", [])).rejects.toMatchObject({ code: "LAB_HOST_STOPPED" });
      expect(await answer(first, 10_000)).toBe("node-1");
    } finally {
      await lab[Symbol.asyncDispose]();
    }
    for (const trace of traces) expect(await leftovers(trace)).toEqual([]);
    await expect(access(lab.sharedDirectory)).rejects.toMatchObject({ code: "ENOENT" });
  },
);

it("guards a disk with locks that all hosts see", { timeout }, async () => {
  await using lab = await startLab();
  const [first, second] = lab.hosts as [LabHost, LabHost];
  const disk = `${lab.sharedDirectory}/disk`;
  await first.run("truncate", ["-s", "1M", disk]);
  const xml = `<domain type='qemu'><name>one</name><memory unit='MiB'>64</memory>
    <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${disk}'/><target dev='sda' bus='sata'/></disk>
    </devices></domain>`;
  await first.run("sh", ["-c", `cat > ${lab.sharedDirectory}/one.xml`], { input: xml });
  const create = (host: LabHost): ReturnType<LabHost["run"]> =>
    host.run("virsh", ["create", `${lab.sharedDirectory}/one.xml`]);
  expect((await create(first)).exitCode).toBe(0);
  const refused = await create(second);
  expect(refused.exitCode).not.toBe(0);
  expect(refused.stderr).toMatch(/lock/i);
});

it("refuses names that it cannot use", async () => {
  for (const hosts of [[], ["one", "one"], ["a-name-that-is-too-long"]]) {
    await expect(startLab({ hosts })).rejects.toMatchObject({ code: "LAB_INVALID" });
  }
});
