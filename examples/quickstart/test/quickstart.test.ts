import { execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type EmbeddedHost, startEmbeddedHost } from "@polyvisor/backend-libvirt/lab";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readOptions } from "../options.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
const node = [process.execPath, "--conditions=@polyvisor/source", main] as const;
const timeout = 300_000;

interface Outcome {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** The folder for temporary files of one run, so that nothing else is in it. */
let temporary = "";
beforeEach(async () => {
  temporary = await mkdtemp(join(tmpdir(), "pv-"));
});
afterEach(() => rm(temporary, { recursive: true, force: true }));

/** Runs the quickstart as a person would; `until` may end it early with a signal. */
function runQuickstart(
  args: readonly string[],
  options: { readonly interruptAt?: RegExp; readonly environment?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> {
  const [command, ...rest] = node;
  const child = spawn(command, [...rest, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: temporary, ...options.environment },
  });
  let output = "";
  let errors = "";
  let interrupted = false;
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    if (interrupted || !options.interruptAt?.test(output)) return;
    interrupted = true;
    child.kill("SIGINT");
  });
  child.stderr.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, output, errors })));
}

function expectStory(output: string): void {
  expect(output).toMatch(/virtualimage\S+\/ubuntu .*PHASE=Ready.*CDROM=false.*PROGRESS=100%/);
  expect(output).toMatch(/virtualdisk\S+\/linux-disk .*PHASE=Ready.*CAPACITY=\d+Mi/);
  expect(output).toMatch(
    /virtualmachine\S+\/linux-vm .*PHASE=Running.*NODE=node-1.*IPADDRESS=10\.66\.10\.2/,
  );
  expect(output).toMatch(/^linux-vm 10\.66\.10\.2\s/m);
  expect(output).toMatch(/^linux-vm login:/m);
  expect(output).toMatch(/yes: linux-vm answers at 10\.66\.10\.2/);
}

describe("the quickstart", () => {
  it("goes from an image to the login prompt and removes what it made", { timeout }, async () => {
    const { code, output, errors } = await runQuickstart([]);
    expect(errors).toBe("");
    expect(code).toBe(0);
    expectStory(output);
    expect(output).toMatch(/"linux-vm" deleted[\s\S]*"linux-disk" deleted[\s\S]*"ubuntu" deleted/);
    expect(await readdir(temporary)).toEqual([]);
  });

  it("leaves everything running with --keep, and says how to remove it", { timeout }, async () => {
    const { code, output } = await runQuickstart(["--keep"]);
    expect(code).toBe(0);
    expectStory(output);
    const uri = /virsh -c '([^']+)' console default_linux-vm/.exec(output)?.[1] ?? "";
    const virsh = await promisify(execFile)("virsh", ["-c", uri, "domstate", "default_linux-vm"]);
    expect(virsh.stdout.trim()).toBe("running");
    const remove = /Remove it all:\s+(.+)/.exec(output)?.[1]?.split(" ") ?? [];
    await promisify(execFile)(remove[0] ?? "", remove.slice(1));
    await expect.poll(() => readdir(temporary), { timeout: 20_000 }).toEqual([]);
  });

  it("uses an existing daemon with --connect, and leaves it as it was", { timeout }, async () => {
    await using host = await startEmbeddedHost();
    // Inside of the host its daemon is the machine's: qemu:///system.
    const { stdout, stderr, exitCode } = await host.run(
      "/usr/bin/env",
      [`PATH=${process.env["PATH"]}`, ...node, "--connect", "qemu:///system"],
      { environment: process.env },
    );
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    expectStory(stdout);
    expect(await inventory(host)).toBe("");
  });

  it("says how to remove everything from an existing daemon with --keep", { timeout }, async () => {
    await using host = await startEmbeddedHost();
    const { stdout, exitCode } = await host.run(
      "/usr/bin/env",
      [`PATH=${process.env["PATH"]}`, ...node, "--connect", "qemu:///system", "--keep"],
      { environment: process.env },
    );
    expect(exitCode).toBe(0);
    const said = /Remove it all: ([\s\S]+)$/.exec(stdout)?.[1] ?? "";
    expect(await inventory(host)).not.toBe("");
    for (const line of said.trim().split("\n")) {
      const removed = await host.run("sh", ["-c", line.trim()]);
      expect([line, removed.exitCode, removed.stderr]).toEqual([line, 0, ""]);
    }
    expect(await inventory(host)).toBe("");
  });

  it("removes what it made when it is interrupted", { timeout }, async () => {
    const { code, output, errors } = await runQuickstart([], { interruptAt: /The serial console/ });
    expect(code).toBe(1);
    expect(errors).toMatch(/stopped by SIGINT/);
    expect(output).not.toMatch(/Does linux-vm answer/);
    expect(await readdir(temporary)).toEqual([]);
  });

  it("says what is wrong with an image and leaves nothing", { timeout }, async () => {
    const environment = { IMAGE_URL: "http://127.0.0.1:9/no-such-image.qcow2" };
    const { code, errors } = await runQuickstart([], { environment });
    expect(code).toBe(1);
    expect(errors).toMatch(/The quickstart has failed: VirtualImage "default\/ubuntu" has failed/);
    expect(errors).toMatch(/spec\.dataSource\.http: .*127\.0\.0\.1:9/);
    expect(await readdir(temporary)).toEqual([]);
  });

  it("says which daemon does not answer", { timeout }, async () => {
    const { code, errors } = await runQuickstart([
      "--connect",
      "qemu+unix:///system?socket=/nonexistent",
    ]);
    expect(code).toBe(1);
    expect(errors).toMatch(/does not answer.*\/nonexistent/);
  });
});

describe("its options", () => {
  it("are read from the command line and the environment", () => {
    expect(
      readOptions(["--keep", "--connect", "qemu:///system"], { IMAGE_URL: "http://x/y" }),
    ).toEqual({
      keep: true,
      connect: "qemu:///system",
      imageUrl: "http://x/y",
    });
    expect(readOptions([], {})).toEqual({ keep: false, connect: undefined, imageUrl: undefined });
    expect(readOptions(["--help"], {})).toBe("help");
    expect(() => readOptions(["--nonsense"], {})).toThrow(/--nonsense/);
    expect(() => readOptions(["--connect"], {})).toThrow(/--connect/);
  });
});

async function inventory(host: EmbeddedHost): Promise<string> {
  const lists = ["list", "net-list", "pool-list"].map((list) =>
    host.run("virsh", [list, "--all", "--name"]),
  );
  return (await Promise.all(lists)).map(({ stdout }) => stdout.trim()).join("");
}
