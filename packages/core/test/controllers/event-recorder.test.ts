import { type Event, memoryStore, type ResourceStore } from "@polyvisor/core";
import { FakeClock, withFaults } from "@polyvisor/core/testing";
import { describe, expect, it } from "vitest";
import { EventRecorder } from "../../src/controllers/event-recorder.ts";
import { recordingLogger } from "../support/logger.ts";
import { machine, storageClass } from "../support/resources.ts";

const HOUR = 3_600_000;
const START = { reason: "Started", message: "Start initiated by controller." };

class Recorder implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly logger = recordingLogger();
  readonly store: ResourceStore;
  readonly faults;
  readonly recorder: EventRecorder;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;

  constructor(store?: ResourceStore) {
    this.store = store ?? memoryStore({ clock: this.clock });
    this.faults = withFaults(this.store);
    const { clock, logger } = this;
    this.recorder = new EventRecorder({ store: this.faults.port, clock, logger });
    this.#running = this.recorder.run(this.#ending.signal);
  }

  async events(): Promise<readonly Event[]> {
    await this.clock.advance(1000);
    return (await this.store.list("Event")).items;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }
}

describe("the event recorder", () => {
  it("writes an event about a resource", async () => {
    await using world = new Recorder();
    world.recorder.record(machine("linux"), START);
    const [event] = await world.events();
    expect(event).toMatchObject({
      apiVersion: "v1",
      kind: "Event",
      metadata: { namespace: "default", name: expect.stringMatching(/^linux\.[0-9a-f]{16}$/) },
      involvedObject: { kind: "VirtualMachine", name: "linux", namespace: "default" },
      type: "Normal",
      ...START,
      count: 1,
    });
  });

  it("counts the same instead of writing it again, and tells different things apart", async () => {
    await using world = new Recorder();
    world.recorder.record(machine("linux"), START);
    world.recorder.record(machine("linux"), START);
    await world.events();
    await world.clock.advance(60_000);
    world.recorder.record(machine("linux"), START);
    world.recorder.record(machine("linux"), { ...START, type: "Warning" });
    world.recorder.record(machine("other"), START);
    const events = await world.events();
    expect(events.map(({ count }) => count).toSorted((a, b) => a - b)).toEqual([1, 1, 3]);
    const counted = events.find(({ count }) => count === 3);
    expect(Date.parse(counted?.lastTimestamp ?? "")).toBeGreaterThanOrEqual(
      Date.parse(counted?.firstTimestamp ?? "") + 60_000,
    );
  });

  it("puts events about kinds without a namespace into the default one", async () => {
    await using world = new Recorder();
    const { namespace: _, ...metadata } = storageClass("fast").metadata;
    world.recorder.record({ ...storageClass("fast"), metadata }, START);
    const [event] = await world.events();
    expect(event?.metadata.namespace).toBe("default");
    expect(event?.involvedObject).not.toHaveProperty("namespace");
  });

  it("removes an event an hour after it was last seen, also when an earlier manager wrote it", async () => {
    const first = new Recorder();
    first.recorder.record(machine("linux"), START);
    await first.events();
    await first[Symbol.asyncDispose]();
    await using second = new Recorder(first.store);
    second.recorder.record(machine("other"), START);
    expect(await second.events()).toHaveLength(2);
    await second.clock.advance(HOUR - 120_000);
    second.recorder.record(machine("other"), START);
    expect(await second.events()).toHaveLength(2);
    await second.clock.advance(180_000);
    const left = await second.events();
    expect(left.map(({ involvedObject }) => involvedObject.name)).toEqual(["other"]);
    await second.clock.advance(HOUR);
    expect(await second.events()).toEqual([]);
  });

  it("loses nothing when the store fails for a while", async () => {
    await using world = new Recorder();
    await world.events();
    world.faults.rules.push({ verb: "create", error: new Error("the store is away"), times: 2 });
    world.recorder.record(machine("linux"), START);
    world.recorder.record(machine("linux"), START);
    await world.clock.advance(5000);
    expect((await world.events()).map(({ count }) => count)).toEqual([2]);
    expect(world.logger.lines.join("\n")).toContain("the store is away");
  });

  it("keeps at most 10,000 events, the latest ones", async () => {
    await using world = new Recorder();
    for (let index = 0; index < 10_005; index += 1) {
      if (index === 5000) await world.events();
      world.recorder.record(machine(`vm-${index}`), START);
    }
    const events = await world.events();
    expect(events).toHaveLength(10_000);
    const names = new Set(events.map(({ involvedObject }) => involvedObject.name));
    expect([names.has("vm-4"), names.has("vm-5"), names.has("vm-10004")]).toEqual([
      false,
      true,
      true,
    ]);
  });
});
