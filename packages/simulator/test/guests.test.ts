import type { GuestSpec, GuestState, MigrationRequest } from "@polyvisor/core";
import type { DataCenterOptions } from "@polyvisor/simulator";
import { describe, expect, it } from "vitest";
import { disk, guest, type Instance, openCenter } from "./support/fixtures.ts";

const never = new AbortController().signal;
const GIBIBYTE = 2 ** 30;

interface Scene extends Instance {
  readonly spec: GuestSpec;
  /** As the hypervisor lists it. */
  readonly listed: () => Promise<GuestState | undefined>;
}

/** A guest that runs on node-1, its system up. */
async function running(options: DataCenterOptions = {}, memoryBytes = GIBIBYTE): Promise<Scene> {
  const instance = openCenter(options);
  const { center, hypervisor } = instance;
  const made = await center.clock.until(guest(instance, "web"));
  const spec = { ...made, memoryBytes };
  await center.clock.until(hypervisor.startGuest(spec, { host: "node-1" }, never));
  await center.clock.advance(30_000);
  const listed = async (): Promise<GuestState | undefined> => {
    const { guests } = await center.clock.until(hypervisor.guests(never));
    expect(guests.length).toBeLessThan(2);
    return guests[0];
  };
  return { ...instance, spec, listed };
}

/** The outcome of a call, while time passes. */
function outcome({ center }: Scene, call: Promise<unknown> | undefined): Promise<string> {
  const settled = Promise.resolve(call).then(
    () => "done",
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );
  return center.clock.until(settled);
}

describe("live migration", () => {
  const request = async (
    { center, storage, spec }: Scene,
    extra: Partial<MigrationRequest> = {},
  ): Promise<MigrationRequest> => {
    for (const { source } of spec.disks) {
      const name = "path" in source ? (source.path.split("/").at(-1) ?? "") : source.name;
      await center.clock.until(storage.attach(name, "node-2", never));
    }
    return {
      id: "m1",
      source: "node-1",
      target: { host: "node-2" },
      disks: spec.disks,
      autoConverge: false,
      ...extra,
    };
  };

  it("tells how far it has come, and is held up by a bandwidth", async () => {
    const scene = await running();
    const order = await request(scene, { bandwidthBytesPerSecond: 64 * 2 ** 20 });
    await outcome(scene, scene.hypervisor.migration?.start(scene.spec, order, never));
    await scene.center.clock.advance(6_000);
    const half = (await scene.listed())?.migration;
    expect(half).toMatchObject({ phase: "copying", totalBytes: GIBIBYTE, target: "node-2" });
    expect(half?.remainingBytes).toBeLessThan(GIBIBYTE);
    expect(half?.remainingBytes).toBeGreaterThan(GIBIBYTE / 2);
    await scene.center.clock.advance(60_000);
    expect(await scene.listed()).toMatchObject({
      host: "node-2",
      power: "running",
      migration: { phase: "succeeded", remainingBytes: 0 },
    });
  });

  it("never ends when memory is written faster than it is copied, unless the guest is slowed down", async () => {
    const fast = { "*": { dirtyBytesPerSecond: 300 * 2 ** 20 } };
    const slow = { bandwidthBytesPerSecond: 200 * 2 ** 20 };
    const scene = await running({ guests: fast });
    const order = await request(scene, slow);
    await outcome(scene, scene.hypervisor.migration?.start(scene.spec, order, never));
    await scene.center.clock.advance(3_600_000);
    expect((await scene.listed())?.migration).toMatchObject({
      phase: "copying",
      throttlePercent: 0,
    });
    await outcome(scene, scene.hypervisor.migration?.cancel(scene.spec, "m1", never));
    expect(await scene.listed()).toMatchObject({
      host: "node-1",
      power: "running",
      migration: { phase: "cancelled" },
    });

    const second = { ...order, id: "m2", autoConverge: true };
    await outcome(scene, scene.hypervisor.migration?.start(scene.spec, second, never));
    let throttled = 0;
    for (let step = 0; step < 300; step += 1) {
      await scene.center.clock.advance(1_000);
      throttled = Math.max(throttled, (await scene.listed())?.migration?.throttlePercent ?? 0);
    }
    expect(throttled).toBeGreaterThanOrEqual(20);
    expect(await scene.listed()).toMatchObject({
      host: "node-2",
      migration: { phase: "succeeded" },
    });
  });

  it.each(["node-2 loses its power", "the link is cut"])(
    "leaves one guest when %s",
    async (what) => {
      const scene = await running({}, 16 * GIBIBYTE);
      const order = await request(scene);
      await outcome(scene, scene.hypervisor.migration?.start(scene.spec, order, never));
      await scene.center.clock.advance(5_000);
      if (what === "the link is cut") scene.center.cut("node-1", "node-2");
      else scene.center.host("node-2").powerOff();
      await scene.center.clock.advance(60_000);
      expect(await scene.listed()).toMatchObject({
        host: "node-1",
        power: "running",
        migration: { phase: "failed" },
      });
      expect(scene.center.guests()).toHaveLength(1);
    },
  );

  it("ends with the guest when its host loses power", async () => {
    const scene = await running({}, 16 * GIBIBYTE);
    const order = await request(scene);
    await outcome(scene, scene.hypervisor.migration?.start(scene.spec, order, never));
    await scene.center.clock.advance(5_000);
    scene.center.host("node-1").reset();
    await scene.center.clock.advance(120_000);
    expect(scene.center.guests()).toEqual([]);
    expect(await scene.listed()).toMatchObject({
      host: "node-1",
      power: "stopped",
      stopReason: "unknown",
    });
  });
});

describe("hotplug", () => {
  it.each([
    ["refuses", "POLYVISOR_REFUSED"],
    ["silent", "POLYVISOR_TIMEOUT"],
    ["agrees", "done"],
  ] as const)("of a guest that %s", async (unplug, expected) => {
    const scene = await running({ guests: { "default/web": { unplug } } });
    const { center, hypervisor, spec } = scene;
    const data = await center.clock.until(disk(scene, "vd-data", "node-1"));
    expect(await outcome(scene, hypervisor.hotplug?.attachDisk(spec, "node-1", data, never))).toBe(
      "done",
    );
    const detach = hypervisor.hotplug?.detachDisk(spec, "node-1", "vd-data", never);
    expect(await outcome(scene, detach)).toBe(expected);
    expect((await scene.listed())?.disks?.includes("vd-data")).toBe(expected !== "done");
  });

  it("refuses a disk whose volume is not attached to the host", async () => {
    const scene = await running();
    const data = await scene.center.clock.until(disk(scene, "vd-data", "node-2"));
    const attach = scene.hypervisor.hotplug?.attachDisk(scene.spec, "node-1", data, never);
    expect(await outcome(scene, attach)).toBe("POLYVISOR_REFUSED");
  });
});

describe("the agent", () => {
  it.each([
    ["silent", "POLYVISOR_UNAVAILABLE"],
    ["cannot-freeze", "POLYVISOR_REFUSED"],
  ] as const)("that is %s does not freeze", async (agent, expected) => {
    const scene = await running({ guests: { "*": { agent } } });
    const options = { timeoutSeconds: 60, signal: never };
    const freeze = scene.hypervisor.agent?.freeze(scene.spec, "node-1", options);
    expect(await outcome(scene, freeze)).toBe(expected);
    expect((await scene.listed())?.frozen).toBeUndefined();
  });

  it("is stopped and started by somebody, and a hanging guest has none", async () => {
    const scene = await running();
    scene.center.guest("web").stopAgent();
    expect((await scene.listed())?.agentConnected).toBe(false);
    scene.center.guest("web").startAgent();
    expect((await scene.listed())?.agentConnected).toBe(true);
    scene.center.guest("web").hang();
    expect((await scene.listed())?.agentConnected).toBe(false);
    await outcome(
      scene,
      scene.hypervisor.stopGuest(scene.spec, { host: "node-1" }, "shutdown", never),
    );
    await scene.center.clock.advance(600_000);
    expect((await scene.listed())?.power).toBe("running");
  });
});

describe("what a guest's host is cut off from", () => {
  it("holds the guest while its storage is out of reach", async () => {
    const scene = await running();
    const cut = scene.center.cut("node-1", "storage");
    expect((await scene.listed())?.power).toBe("paused");
    cut[Symbol.dispose]();
    expect((await scene.listed())?.power).toBe("running");
    const [volume = ""] = scene.center.storage("storage").volumes();
    scene.center.storage("storage").loseVolume(volume);
    expect((await scene.listed())?.power).toBe("paused");
  });

  it("loses answers on a link that loses only those", async () => {
    const scene = await running();
    using _ = scene.center.cut("manager", "node-1", "answers");
    const stop = scene.hypervisor.stopGuest(scene.spec, { host: "node-1" }, "power-off", never);
    expect(await outcome(scene, stop)).toBe("POLYVISOR_OUTCOME_UNKNOWN");
    expect(scene.center.guests()).toEqual([]);
  });

  it("shows its host as unreachable after a while, and as it is when it is back", async () => {
    const scene = await running();
    const { hypervisor, center } = scene;
    const seen = async (): Promise<boolean | undefined> => {
      const hosts = await center.clock.until(hypervisor.hosts(never));
      return hosts.find(({ name }) => name === "node-1")?.reachable;
    };
    const cut = center.cut("manager", "node-1");
    expect(await seen()).toBe(true);
    await center.clock.advance(10_000);
    expect(await seen()).toBe(false);
    center.guest("web").crash();
    cut[Symbol.dispose]();
    await center.clock.advance(10_000);
    expect(await seen()).toBe(true);
    expect(await scene.listed()).toMatchObject({ power: "stopped", stopReason: "crashed" });
  });
});

describe("a storage", () => {
  it("takes nothing more when it is full", async () => {
    const scene = await running({ storages: [{ name: "storage", capacityBytes: 2 ** 20 }] });
    const one = disk(scene, "vd-more", "node-1").then(
      () => "made",
      (error: { code: string }) => error.code,
    );
    expect(await scene.center.clock.until(one)).toBe("POLYVISOR_EXHAUSTED");
  });

  it("keeps a volume that a guest has open", async () => {
    const scene = await running();
    const [volume = ""] = scene.center.storage("storage").volumes();
    expect(await outcome(scene, scene.storage.deleteVolume(volume, never))).toBe(
      "POLYVISOR_REFUSED",
    );
    expect(await outcome(scene, scene.storage.detach(volume, "node-1", never))).toBe(
      "POLYVISOR_REFUSED",
    );
  });

  it("keeps in a snapshot what was there when it was made", async () => {
    const scene = await running();
    const [volume = ""] = scene.center.storage("storage").volumes();
    const web = scene.center.guest("web");
    web.write("vd-root", 512, Buffer.from("before"));
    const spec = { name: "snapshot-one", volume };
    await scene.center.clock.until(
      scene.storage.snapshots?.create(spec, never) ?? Promise.reject(),
    );
    web.write("vd-root", 512, Buffer.from("after!"));
    const source = { type: "snapshot", name: "snapshot-one" } as const;
    const stream = await scene.center.clock.until(
      scene.storage.content.read(source, { signal: never }),
    );
    const extents = [];
    for await (const extent of stream) extents.push(extent);
    const data = extents.find((extent) => extent.type === "data");
    expect(data && Buffer.from(data.bytes).toString()).toBe("before");
    expect(Buffer.from(web.read("vd-root", 512, 6)).toString()).toBe("after!");
  });
});

describe("a screen", () => {
  it("shows a picture over RFB", async () => {
    const scene = await running();
    const { hypervisor, center, spec } = scene;
    const opening = hypervisor.consoles?.openVnc?.(spec, {}) ?? Promise.reject(new Error("none"));
    await using screen = await center.clock.until(opening);
    const output = screen[Symbol.asyncIterator]();
    const next = async (): Promise<Buffer> => Buffer.from((await output.next()).value ?? []);
    expect((await next()).toString()).toBe("RFB 003.008\n");
    await screen.write(Buffer.from("RFB 003.008\n"));
    expect([...(await next())]).toEqual([1, 1]);
    await screen.write(Buffer.of(1));
    expect([...(await next())]).toEqual([0, 0, 0, 0]);
    await screen.write(Buffer.of(1));
    const init = await next();
    expect([init.readUInt16BE(0), init.readUInt16BE(2)]).toEqual([640, 400]);
    expect(init.subarray(24).toString()).toBe("default/web");
    await screen.write(Buffer.of(2, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 2, 128, 1, 144));
    expect((await next()).length).toBe(16 + 640 * 400 * 4);
  });
});

describe("what must never be", () => {
  it("is noticed: one disk and one address of two guests", async () => {
    const scene = await running();
    const { center, hypervisor, storage, spec } = scene;
    const [volume = ""] = center.storage("storage").volumes();
    await center.clock.until(storage.attach(volume, "node-2", never));
    const other = { ...spec, uid: "another", name: "other" };
    await center.clock.until(hypervisor.startGuest(other, { host: "node-2" }, never));
    expect(center.violations()).toEqual([
      "address 10.66.10.2: default/other on node-2 and default/web on node-1",
      expect.stringMatching(
        /^disk \/dev\/simulator\/.*: default\/other on node-2 and default\/web/,
      ),
    ]);
  });

  it("is noticed: two runs of one VM", async () => {
    const scene = await running();
    const { center, hypervisor, spec } = scene;
    const again = { ...spec, incarnation: 2, disks: [], interfaces: [] };
    await center.clock.until(hypervisor.startGuest(again, { host: "node-3" }, never));
    expect(center.violations()).toEqual([
      `guest ${spec.uid}: default/web on node-3 and default/web on node-1`,
    ]);
  });
});
