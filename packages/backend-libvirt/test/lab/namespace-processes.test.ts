import { expect, test } from "vitest";
import {
  innermostPid,
  processesInNamespaceOf,
  processStartTime,
} from "../../src/lab/namespace-processes.ts";

test("the innermost process id is the last one", () => {
  expect(innermostPid("Name:\tsh\nNSpid:\t7387\t12\t1\nNSpgid:\t7387\t12\t1\n")).toBe(1);
  expect(innermostPid("Name:\tsh\nNSpid:\t7387\n")).toBe(7387);
  expect(innermostPid("Name:\tsh\n")).toBeUndefined();
});

test("this process is in its own namespace and has a start time; one that ended has neither", async () => {
  const ended = 2 ** 22 + 1;
  const processes = await processesInNamespaceOf(process.pid);
  expect(processes).toContainEqual(expect.objectContaining({ pid: process.pid }));
  expect(await processStartTime(process.pid)).toBeGreaterThan(0);
  expect(await processesInNamespaceOf(ended)).toEqual([]);
  expect(await processStartTime(ended)).toBeUndefined();
});
