import { BoundedChannel } from "@polyvisor/core";
import { describe, expect, it } from "vitest";

interface Opened {
  readonly channel: BoundedChannel<number>;
  readonly returned: () => number;
}

function open(capacity: number): Opened {
  let returns = 0;
  const channel = new BoundedChannel<number>({
    capacity,
    onOverflow: () => new Error("too far behind"),
    onReturn: () => {
      returns += 1;
    },
  });
  return { channel, returned: () => returns };
}

async function collect(channel: AsyncIterable<number>): Promise<number[]> {
  const items: number[] = [];
  for await (const item of channel) items.push(item);
  return items;
}

describe("BoundedChannel", () => {
  it("hands over what was queued before and what comes later, in order", async () => {
    const { channel } = open(10);
    channel.push(1);
    channel.push(2);
    const all = collect(channel);
    await Promise.resolve();
    channel.push(3);
    channel.end();
    expect(await all).toEqual([1, 2, 3]);
  });

  it("wakes a reader that waits, and ends it", async () => {
    const { channel } = open(1);
    const first = channel.next();
    channel.push(7);
    expect(await first).toEqual({ value: 7, done: false });
    const second = channel.next();
    channel.end();
    expect(await second).toEqual({ value: undefined, done: true });
    expect(await channel.next()).toEqual({ value: undefined, done: true });
  });

  it("gives what is queued before it throws the error that it was ended with", async () => {
    const { channel } = open(10);
    channel.push(1);
    channel.end(new Error("broken"));
    expect(await channel.next()).toEqual({ value: 1, done: false });
    await expect(channel.next()).rejects.toThrow("broken");
    expect(await channel.next()).toEqual({ value: undefined, done: true });
  });

  it("rejects a reader that waits when it is ended with an error", async () => {
    const { channel } = open(10);
    const waiting = channel.next();
    channel.end(new Error("broken"));
    await expect(waiting).rejects.toThrow("broken");
  });

  it("drops what it holds when the reader is too far behind, and says so once", async () => {
    const { channel } = open(2);
    for (let item = 0; item < 5; item += 1) channel.push(item);
    await expect(channel.next()).rejects.toThrow("too far behind");
    expect(await channel.next()).toEqual({ value: undefined, done: true });
  });

  it("counts only what was not read yet against its capacity", async () => {
    const { channel } = open(2);
    for (let item = 0; item < 100; item += 1) {
      channel.push(item);
      expect(await channel.next()).toEqual({ value: item, done: false });
    }
    channel.push(1);
    channel.push(2);
    expect(await channel.next()).toEqual({ value: 1, done: false });
    channel.push(3);
    channel.end();
    expect(await collect(channel)).toEqual([2, 3]);
  });

  it("ignores what is pushed after the end", async () => {
    const { channel } = open(2);
    channel.end();
    channel.end(new Error("late"));
    channel.push(1);
    expect(await collect(channel)).toEqual([]);
  });

  it("tells when the reader leaves, and drops what is left", async () => {
    const { channel, returned } = open(5);
    channel.push(1);
    channel.push(2);
    for await (const item of channel) {
      expect(item).toBe(1);
      break;
    }
    expect(returned()).toBe(1);
    expect(await channel.next()).toEqual({ value: undefined, done: true });
  });
});
