import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";

import { ChildProcessStream, type ChildProcessEnd } from "../../src/rpc/child-process-stream.ts";
import { isAlive, until } from "./support.ts";

function start(script: string): {
  stream: ChildProcessStream;
  pid: number;
  ends: ChildProcessEnd[];
} {
  const child = spawn("/bin/sh", ["-c", script], { stdio: "pipe" });
  const ends: ChildProcessEnd[] = [];
  const stream = new ChildProcessStream(child, (end) => {
    ends.push(end);
    return new Error("explained");
  });
  onTestFinished(() => void stream.destroy());
  return { stream, pid: child.pid!, ends };
}

describe("a child process as a stream", () => {
  it("carries bytes both ways, however many", async () => {
    const { stream } = start("exec cat");
    const sent = Buffer.alloc(4_000_000, "0123456789abcdef\n");
    stream.write(sent);
    let received = 0;
    for await (const chunk of stream) {
      expect((chunk as Buffer)[0]).toBe(sent[received % 17]);
      received += (chunk as Buffer).length;
      if (received === sent.length) break;
    }
    expect(received).toBe(sent.length);
  });

  it("does not read ahead of a slow reader", async () => {
    const { stream } = start("exec yes");
    await once(stream, "readable");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(stream.readableLength).toBeLessThan(1_000_000);
  });

  it("fails with the explanation of an end that nobody asked for", async () => {
    const { stream, ends } = start("printf data; echo first >&2; echo last >&2; exit 3");
    await expect(text(stream)).rejects.toThrow("explained");
    expect(ends).toEqual([
      { exitCode: 3, signal: undefined, errorOutput: "first\nlast\n", hadData: true },
    ]);
  });

  it("keeps the end of what the process said, and no more", async () => {
    const { stream, ends } = start(
      "i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done",
    );
    await expect(text(stream)).rejects.toThrow("explained");
    expect(ends[0]?.errorOutput).toMatch(/line 2999\n$/);
    expect(ends[0]?.errorOutput.length).toBe(4096);
    expect(ends[0]).toMatchObject({ hadData: false, exitCode: 0 });
  });

  it("explains the end also when it is found by writing", async () => {
    const { stream, ends } = start("exec <&-; sleep 0.2; exit 4");
    const failed = once(stream, "error");
    const writing = setInterval(() => stream.write("x"), 10);
    onTestFinished(() => clearInterval(writing));
    const [error] = await failed;
    clearInterval(writing);
    expect(error).toMatchObject({ message: "explained" });
    expect(ends[0]).toMatchObject({ exitCode: 4 });
  });

  it("is over when the process is gone", async () => {
    const { stream, pid, ends } = start("exec cat");
    stream.destroy();
    await once(stream, "close");
    expect(isAlive(pid)).toBe(false);
    expect(ends).toEqual([]);
  });

  it("kills a process that does not want to end", async () => {
    const { stream, pid } = start("trap '' TERM; echo ready; while :; do sleep 0.1; done");
    await once(stream, "data");
    stream.destroy();
    await once(stream, "close");
    expect(isAlive(pid)).toBe(false);
  });

  it("takes the process along when this one ends at once", async () => {
    const module = fileURLToPath(new URL("../../src/rpc/child-process-stream.ts", import.meta.url));
    const program = `
      import { spawn } from "node:child_process";
      import { once } from "node:events";
      const { ChildProcessStream } = await import(${JSON.stringify(module)});
      const child = spawn("/bin/sh", ["-c", "trap '' TERM HUP PIPE; echo; while :; do sleep 0.1; done"], { stdio: "pipe" });
      await once(new ChildProcessStream(child, () => new Error()), "data");
      console.log(child.pid);
      process.exit();
    `;
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--input-type=module",
      "--eval",
      program,
    ]);
    const pid = Number(stdout);
    expect(pid).toBeGreaterThan(1);
    await until(() => !isAlive(pid));
  });
});
