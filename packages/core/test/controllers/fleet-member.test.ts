import type { GuestList, GuestState, Hypervisor, HypervisorEvent } from "@polyvisor/core";
import { BoundedChannel } from "@polyvisor/core";
import { FakeClock, FakeHypervisor } from "@polyvisor/core/testing";
import { describe, expect, it } from "vitest";
import { FleetMember } from "../../src/controllers/fleet-member.ts";
import { recordingLogger } from "../support/logger.ts";
import { guest } from "../support/resources.ts";

/** A hypervisor of one host whose events and answers the test makes up. */
class ScriptedHypervisor {
  readonly name = "scripted";
  readonly channels = new Set<BoundedChannel<HypervisorEvent>>();
  readonly #fake = new FakeHypervisor();
  listed: readonly GuestState[] = [];
  /** What a list waits for. */
  until: Promise<void> = Promise.resolve();
  /** Called while a list is under way. */
  meanwhile: () => void = () => {};
  lists = 0;

  hosts: Hypervisor["hosts"] = () => this.#fake.hosts();

  async guests(): Promise<GuestList> {
    this.lists += 1;
    await this.until;
    const guests = this.listed;
    this.meanwhile();
    return { guests, hosts: ["node-1"] };
  }

  watch(signal: AbortSignal): BoundedChannel<HypervisorEvent> {
    const channel = new BoundedChannel<HypervisorEvent>({
      capacity: 100,
      onOverflow: () => new Error("overflow"),
    });
    this.channels.add(channel);
    signal.addEventListener("abort", () => {
      this.channels.delete(channel);
      channel.end();
    });
    return channel;
  }

  emit(event: HypervisorEvent): void {
    for (const channel of this.channels) channel.push(event);
  }
}

interface Followed extends AsyncDisposable {
  readonly hypervisor: ScriptedHypervisor;
  readonly member: FleetMember;
  readonly clock: FakeClock;
  readonly told: string[];
}

async function follow(
  prepare: (hypervisor: ScriptedHypervisor) => void = () => {},
): Promise<Followed> {
  const hypervisor = new ScriptedHypervisor();
  prepare(hypervisor);
  const clock = new FakeClock();
  const told: string[] = [];
  const listener = {
    onGuest: (uid: string) => void told.push(uid),
    onHosts: () => void told.push("hosts"),
  };
  const options = { listener, clock, logger: recordingLogger() };
  const member = new FleetMember(hypervisor as unknown as Hypervisor, options);
  const ending = new AbortController();
  const ended = member.follow(ending.signal);
  await clock.advance(0);
  const dispose = (): Promise<void> => {
    ending.abort();
    return ended;
  };
  return { hypervisor, member, clock, told, [Symbol.asyncDispose]: dispose };
}

const UID = "uid-of-vm";

describe("FleetMember", () => {
  it("knows what was listed and what events say, and tells of it", async () => {
    await using followed = await follow((hypervisor) => {
      hypervisor.listed = [guest("running")];
    });
    const { hypervisor, member, clock, told } = followed;
    expect(member.guest(UID)?.power).toBe("running");
    expect(member.isAnswering("node-1")).toBe(true);
    expect(told).toEqual(["hosts", UID]);
    hypervisor.emit({ type: "guest", guest: guest("paused") });
    await clock.advance(0);
    expect(member.guest(UID)?.power).toBe("paused");
    expect(told).toEqual(["hosts", UID, UID]);
  });

  it("tells nothing when a list says nothing new", async () => {
    await using followed = await follow((hypervisor) => {
      hypervisor.listed = [guest("running")];
    });
    const { hypervisor, clock, told } = followed;
    told.length = 0;
    hypervisor.emit({ type: "resync" });
    await clock.advance(0);
    expect(hypervisor.lists).toBe(2);
    expect(told).toEqual([]);
  });

  it("does not take an event of an earlier run for news of the present one", async () => {
    await using followed = await follow();
    const { hypervisor, member, clock } = followed;
    member.learn(guest("running", { incarnation: 3 }));
    hypervisor.emit({ type: "guest", guest: guest("stopped", { incarnation: 2 }) });
    await clock.advance(0);
    expect(member.guest(UID)).toMatchObject({ power: "running", incarnation: 3 });
  });

  it("asks the host when it is told of a removal: the guest may have been started anew", async () => {
    await using followed = await follow();
    const { hypervisor, member, clock } = followed;
    member.learn(guest("running"));
    hypervisor.listed = [guest("running")];
    hypervisor.emit({ type: "guest-removed", uid: UID, host: "node-1" });
    await clock.advance(0);
    expect(member.guest(UID)?.power).toBe("running");
    hypervisor.listed = [];
    hypervisor.emit({ type: "guest-removed", uid: UID, host: "node-1" });
    await clock.advance(0);
    expect(member.guest(UID)).toBeUndefined();
  });

  it("keeps what was learned while a list was under way", async () => {
    await using followed = await follow();
    const { hypervisor, member, clock } = followed;
    hypervisor.meanwhile = () => member.learn(guest("running"));
    hypervisor.emit({ type: "resync" });
    await clock.advance(0);
    expect(member.guest(UID)?.power).toBe("running");
    hypervisor.listed = [guest("running")];
    hypervisor.meanwhile = () => member.learnRemoval(UID, "node-1");
    hypervisor.emit({ type: "resync" });
    await clock.advance(0);
    expect(member.guest(UID)).toBeUndefined();
  });

  it("lists once more for all requests that come while a list is under way", async () => {
    await using followed = await follow();
    const { hypervisor, clock } = followed;
    const { promise, resolve } = Promise.withResolvers<void>();
    hypervisor.until = promise;
    for (let count = 0; count < 10; count += 1) hypervisor.emit({ type: "resync" });
    await clock.advance(0);
    expect(hypervisor.lists).toBe(2);
    resolve();
    await clock.advance(0);
    expect(hypervisor.lists).toBe(3);
  });

  it("begins anew with pauses when events end, and leaves no watch open behind it", async () => {
    let failing = true;
    await using followed = await follow((hypervisor) => {
      hypervisor.meanwhile = () => {
        if (failing) throw new Error("no answer");
      };
    });
    const { hypervisor, member, clock } = followed;
    await clock.advance(50 + 100 + 200);
    expect(hypervisor.lists).toBe(4);
    expect(hypervisor.channels.size).toBe(0);
    failing = false;
    hypervisor.listed = [guest("running")];
    await clock.advance(400);
    expect(member.guest(UID)?.power).toBe("running");
    expect(hypervisor.channels.size).toBe(1);
    for (const channel of hypervisor.channels) channel.end();
    hypervisor.listed = [];
    await clock.advance(50);
    expect(member.guest(UID)).toBeUndefined();
    expect(hypervisor.channels.size).toBe(1);
  });
});
