import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

import { onTestFinished, vi } from "vitest";

import {
  openConnection,
  type LibvirtConnection,
  type OpenConnectionOptions,
} from "../../src/rpc/index.ts";
import {
  startFakeLibvirtd,
  type FakeLibvirtd,
  type FakeLibvirtdOptions,
} from "../../src/testing/fake-libvirtd.ts";

vi.setConfig({ testTimeout: 30_000, hookTimeout: 60_000 });

/** A domain handle for calls whose target does not matter. */
export const someDomain = {
  name: "web",
  uuid: "00112233-4455-6677-8899-aabbccddeeff",
  id: 7,
} as const;

/** A volume handle for calls whose target does not matter. */
export const someVolume = { pool: "default", name: "disk", key: "/pool/disk" } as const;

/** Starts a fake daemon that ends with the test. */
export async function startDaemon(
  options: Omit<FakeLibvirtdOptions, "socketPath"> = {},
): Promise<FakeLibvirtd> {
  const directory = await mkdtemp(join(tmpdir(), "fake-libvirtd-"));
  const daemon = await startFakeLibvirtd({ socketPath: join(directory, "sock"), ...options });
  onTestFinished(async () => {
    await daemon[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });
  return daemon;
}

/** Connects to a fake daemon; the connection ends with the test. */
export async function connect(
  daemon: FakeLibvirtd,
  options: Partial<OpenConnectionOptions> = {},
): Promise<LibvirtConnection> {
  const connection = await openConnection({
    socketPath: daemon.socketPath,
    uri: "test:///default",
    ...options,
  });
  onTestFinished(() => connection.close());
  return connection;
}

/** The error with which a promise rejects; fails the test when it resolves. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("expected a rejection");
}

/** What a function throws; undefined when it returns. */
export function failureOf(action: () => unknown): unknown {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Waits until `condition` holds, at most 10 s. */
export async function until(condition: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    if (condition()) return;
    await delay(10);
  }
  throw new Error(`not true within 10 s: ${condition.toString()}`);
}

/** Whether a process exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A promise that never settles, for calls that hang. */
export function forever(): Promise<never> {
  return new Promise(() => {});
}
