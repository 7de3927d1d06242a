import { execFile } from "node:child_process";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";

import { createStreamFactory, isRpcError, type SshTransport } from "../../src/rpc/index.ts";
import { sshArguments } from "../../src/rpc/ssh-command.ts";
import { failureOf } from "./support.ts";

const run = promisify(execFile);

const transport: SshTransport = {
  type: "ssh",
  host: "host",
  verifiesHost: true,
  proxy: "auto",
  netcat: "nc",
  socketPaths: ["/run/a", "/run/b"],
  driverUri: "qemu:///system",
  readOnly: false,
};

describe("arguments", () => {
  it("never let ssh ask, and end its options before the host", () => {
    expect(sshArguments(transport).slice(0, -1)).toEqual([
      "-T",
      "-e",
      "none",
      "-o",
      "BatchMode=yes",
      "--",
      "host",
    ]);
  });

  it("carry what the URI says, each value after its option", () => {
    const given = { ...transport, port: 2222, user: "root", keyFile: "/k", verifiesHost: false };
    expect(sshArguments(given).slice(0, -1)).toEqual(
      "-p 2222 -l root -i /k -T -e none -o BatchMode=yes -o StrictHostKeyChecking=accept-new -- host".split(
        " ",
      ),
    );
  });

  it.each([
    { host: "-oProxyCommand=x" },
    { host: "a b" },
    { host: "" },
    { user: "-x" },
    { user: "$(x)" },
    { keyFile: "/k\n" },
    { netcat: "-e" },
    { netcat: "" },
    { netcat: "n'c" },
    { socketPaths: ["relative"] },
    { socketPaths: ["/good", "/b\\ad"] },
    { driverUri: "-r" },
    { driverUri: "qemu:///'" },
  ])("are not made of %j, also without a URI", (part) => {
    const failure = failureOf(() => createStreamFactory({ ...transport, ...part }));
    expect(isRpcError(failure, "RPC_INVALID_URI")).toBe(true);
  });
});

interface Machine {
  readonly directory: string;
  /** Runs what ssh would run there and returns the program that it became, with its arguments. */
  became(transport: SshTransport): Promise<string>;
}

/** A folder as the PATH of the other machine, with programs that print how they were called. */
async function startMachine(...programs: readonly string[]): Promise<Machine> {
  const directory = await mkdtemp(join(tmpdir(), "machine-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  for (const program of programs) {
    const needsArgument = program === "debian-nc";
    const path = join(directory, needsArgument ? "nc" : program);
    const answer = needsArgument
      ? 'test $# = 1 && echo "option requires an argument" && exit 1'
      : "";
    await writeFile(path, `#!/bin/sh\n${answer}\nprintf '%s|' "\${0##*/}" "$@"\n`);
    await chmod(path, 0o755);
  }
  return {
    directory,
    async became(given) {
      const command = sshArguments(given).at(-1)!;
      const env = { PATH: `${directory}:${await tools()}` };
      const { stdout } = await run("/bin/sh", ["-c", command], { env, cwd: directory });
      return stdout;
    },
  };
}

/** A folder with what the script needs besides, so that no program of this machine interferes. */
async function tools(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "tools-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  for (const name of ["sh", "grep"]) {
    await writeFile(join(directory, name), `#!/bin/sh\nexec /usr/bin/${name} "$@"\n`, {
      mode: 0o755,
    });
  }
  return directory;
}

describe("on the other machine", () => {
  it("virt-ssh-helper is preferred, and told what it needs", async () => {
    const machine = await startMachine("virt-ssh-helper", "debian-nc");
    expect(await machine.became(transport)).toBe("virt-ssh-helper|qemu:///system|");
    expect(await machine.became({ ...transport, readOnly: true, proxy: "native" })).toBe(
      "virt-ssh-helper|-r|qemu:///system|",
    );
    expect(await machine.became({ ...transport, proxy: "netcat" })).toBe("nc|-q|0|-U|/run/b|");
  });

  it("netcat is told to end with its input where it must be told", async () => {
    const debian = await startMachine("debian-nc");
    expect(await debian.became(transport)).toBe("nc|-q|0|-U|/run/b|");
    const other = await startMachine("nc");
    expect(await other.became(transport)).toBe("nc|-U|/run/b|");
  });

  it("the first socket that is there is taken", async () => {
    const machine = await startMachine("nc");
    const socketPaths = ["a", "b", "c"].map((name) => join(machine.directory, name));
    const server = createServer().listen(socketPaths[1]);
    onTestFinished(() => void server.close());
    expect(await machine.became({ ...transport, socketPaths })).toBe(`nc|-U|${socketPaths[1]}|`);
  });

  it("no shell takes a value for more than a word", async () => {
    const machine = await startMachine("virt-ssh-helper", "n c;$(touch x)");
    const path = '/run/$(touch x)`touch x`;touch x|& "a" <b> *{1,2}!~#%';
    const driverUri = 'qemu:///$(touch%20x);`x`"&|!*';
    expect(await machine.became({ ...transport, driverUri })).toBe(`virt-ssh-helper|${driverUri}|`);
    const netcat = { ...transport, proxy: "netcat", netcat: "n c;$(touch x)" } as const;
    for (const socketPaths of [[path], [path, path]]) {
      expect(await machine.became({ ...netcat, socketPaths })).toBe(`n c;$(touch x)|-U|${path}|`);
    }
    expect((await readdir(machine.directory)).toSorted()).toEqual([
      "n c;$(touch x)",
      "virt-ssh-helper",
    ]);
  });
});
