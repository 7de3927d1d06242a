import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createWorkerPool } from "../../src/worker/worker-pool.ts";
import { inlineExecutor } from "../../src/worker/inline-executor.ts";
import type { CopyJob } from "../../src/worker/copy-job.ts";
import { hostSpans } from "../../src/worker/host-spans.ts";
import { jobSlices } from "../../src/worker/job-slices.ts";
import { noise } from "../support/made-images.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const PIECE_BYTES = 128 * 1024;

describe.each([
  ["on this thread", inlineExecutor],
  ["on two threads", () => createWorkerPool({ threads: 2 })],
])("copy jobs %s", (_name, create) => {
  test("copy a file piece by piece, whatever the order", { timeout: 30_000 }, async () => {
    await using directory = await temporaryDirectory();
    await using executor = create();
    const content = Buffer.concat([noise(5 * PIECE_BYTES), Buffer.alloc(PIECE_BYTES), noise(77)]);
    const path = join(directory.path, "source");
    await writeFile(path, content);
    await using source = await open(path, "r");
    await using target = await open(join(directory.path, "target"), "w+");
    const starts = Array.from({ length: 7 }, (_, index) => (6 - index) * PIECE_BYTES);
    const results = await Promise.all(
      starts.map((start) => {
        const length = Math.min(PIECE_BYTES, content.length - start);
        return executor.run({
          start,
          length,
          segments: [{ type: "data", length, hostOffset: start }],
          source: { kind: "file", fd: source.fd, sizeBytes: content.length },
          output: { kind: "file", fd: target.fd, zeroed: true },
          leaves: true,
        });
      }),
    );
    expect((await readFile(join(directory.path, "target"))).equals(content)).toBe(true);
    expect(results.map(({ dataBytes }) => dataBytes).toSorted((a, b) => a - b)).toEqual([
      0,
      77,
      ...Array.from({ length: 5 }, () => PIECE_BYTES),
    ]);
  });

  test("fail with typed errors, and go on", { timeout: 30_000 }, async () => {
    await using executor = create();
    const job: CopyJob = {
      start: 0,
      length: 512,
      segments: [{ type: "data", length: 512, hostOffset: 0 }],
      source: { kind: "pieces", pieces: [] },
      output: { kind: "nothing" },
      leaves: false,
    };
    await expect(executor.run(job)).rejects.toMatchObject({
      name: "ImageError",
      code: "IMAGE_TRUNCATED",
    });
    const badFile: CopyJob = { ...job, source: { kind: "file", fd: 99_999, sizeBytes: 512 } };
    await expect(executor.run(badFile)).rejects.toMatchObject({ code: "IMAGE_IO" });
    const good: CopyJob = {
      ...job,
      source: { kind: "pieces", pieces: [{ offset: 0, bytes: Buffer.alloc(512, 1) }] },
    };
    expect((await executor.run(good)).dataBytes).toBe(512);
  });
});

test("a pool that is disposed rejects what is left", { timeout: 30_000 }, async () => {
  const pool = createWorkerPool({ threads: 1 });
  const job: CopyJob = {
    start: 0,
    length: 512,
    segments: [{ type: "hole", length: 512 }],
    source: { kind: "pieces", pieces: [] },
    output: { kind: "nothing" },
    leaves: false,
  };
  const left = expect(pool.run(job)).rejects.toMatchObject({ code: "IMAGE_IO" });
  await pool[Symbol.asyncDispose]();
  await left;
  await expect(pool.run(job)).rejects.toMatchObject({ code: "IMAGE_IO" });
});

test("reads what is near at once, and nothing beyond the end", () => {
  const data = (hostOffset: number, length: number) =>
    ({ type: "data", hostOffset, length }) as const;
  expect(hostSpans([data(1000, 24), { type: "hole", length: 5 }, data(0, 1000)], 4096)).toEqual([
    { offset: 0, length: 1024 },
  ]);
  expect(hostSpans([data(0, 512), data(10_000_000, 512)], 10_000_100)).toEqual([
    { offset: 0, length: 512 },
    { offset: 10_000_000, length: 100 },
  ]);
});

test("cuts a piece into slices that end at clusters of 64 KiB", () => {
  const block = (hostOffset: number) =>
    ({
      type: "compressed",
      length: 96 * 1024,
      hostOffset,
      hostLength: 100,
      codec: "deflate",
      blockBytes: 96 * 1024,
    }) as const;
  const segments = [
    { type: "data", length: 300 * 1024, hostOffset: 4096 },
    { type: "hole", length: 20 * 1024 },
    block(1),
    block(2),
    { type: "data", length: 77, hostOffset: 0 },
  ] as const;
  const length = segments.reduce((sum, segment) => sum + segment.length, 0);
  const start = 64 * 1024;
  const slices = [...jobSlices({ start, length, segments })];
  const kibibytes = slices.map((slice) => [slice.start / 1024, slice.length / 1024]);
  expect(kibibytes).toEqual([
    [64, 320],
    [384, 192 + 77 / 1024],
  ]);
  expect(slices.flatMap((slice) => slice.segments)).toEqual([
    { type: "data", length: 192 * 1024, hostOffset: 4096 },
    { type: "data", length: 108 * 1024, hostOffset: 4096 + 192 * 1024 },
    ...segments.slice(1),
  ]);
  const aligned = [
    ...jobSlices({
      start: 0,
      length: 600 * 1024,
      segments: [{ type: "data", length: 600 * 1024, hostOffset: 512 }],
    }),
  ];
  expect(aligned.map((slice) => slice.length / 1024)).toEqual([256, 256, 88]);
});
