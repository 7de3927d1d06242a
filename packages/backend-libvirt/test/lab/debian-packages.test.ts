import { expect, test } from "vitest";
import {
  debianInstallCommand,
  missingDebianPackages,
  requireDebianPackages,
  type DebianMachine,
} from "../../src/lab/debian-packages.ts";
import { isLabError } from "../../src/lab/lab-error.ts";

const GENISOIMAGE = { package: "genisoimage", command: "genisoimage" };
const MASTER_BOOT_RECORD = { package: "syslinux-common", command: "/usr/lib/syslinux/mbr/mbr.bin" };

function fakeMachine(
  options: {
    readonly files?: readonly string[];
    readonly isRoot?: boolean;
    readonly isDebian?: boolean;
    /** Files that appear with an installation. */
    readonly installed?: readonly string[];
    /** What apt-get update says, one answer after the other, before it succeeds. */
    readonly updateFailures?: readonly string[];
  } = {},
): DebianMachine & { readonly commands: (readonly string[])[] } {
  const files = new Set(options.files);
  const failures = [...(options.updateFailures ?? [])];
  const commands: (readonly string[])[] = [];
  return {
    commands,
    exists: async (path) => files.has(path),
    path: "/opt/tools:",
    isRoot: options.isRoot ?? true,
    isDebian: async () => options.isDebian ?? true,
    run: async (command, commandArguments) => {
      commands.push([command, ...commandArguments]);
      const failure = commandArguments[0] === "update" ? failures.shift() : undefined;
      if (failure !== undefined) return { stdout: "", stderr: failure, exitCode: 100 };
      if (commandArguments.includes("install"))
        options.installed?.forEach((file) => files.add(file));
      return { stdout: "", stderr: "", exitCode: 0 };
    },
  };
}

test("commands are found on PATH and in the sbin folders, files by their path", async () => {
  const machine = fakeMachine({ files: ["/opt/tools/genisoimage", "/usr/sbin/dnsmasq"] });
  const dnsmasq = { package: "dnsmasq-base", command: "dnsmasq" };
  const requirements = [GENISOIMAGE, dnsmasq, MASTER_BOOT_RECORD, MASTER_BOOT_RECORD];
  expect(await missingDebianPackages(requirements, machine)).toEqual(["syslinux-common"]);
});

test("nothing runs when everything is there", async () => {
  const machine = fakeMachine({ files: ["/usr/bin/genisoimage"] });
  await requireDebianPackages([GENISOIMAGE], { machine });
  expect(machine.commands).toEqual([]);
});

test("missing packages are installed in one go, without recommends and without services", async () => {
  const machine = fakeMachine({
    installed: ["/usr/bin/genisoimage", MASTER_BOOT_RECORD.command],
  });
  const progress: string[] = [];
  await requireDebianPackages([GENISOIMAGE, MASTER_BOOT_RECORD], {
    machine,
    onProgress: (message) => progress.push(message),
  });
  const [update, install = []] = machine.commands;
  expect(update).toEqual(["apt-get", "update", "--quiet"]);
  expect(install.slice(0, 2)).toEqual(["unshare", "--mount"]);
  expect(install.slice(-2)).toEqual(["genisoimage", "syslinux-common"]);
  expect(install).toContain("--no-install-recommends");
  expect(install).toContain("DPkg::Lock::Timeout=300");
  expect(progress).toEqual(["Installing genisoimage, syslinux-common"]);
});

test("a lock of the package lists is waited for", async () => {
  const machine = fakeMachine({
    installed: ["/usr/bin/genisoimage"],
    updateFailures: ["E: Could not get lock /var/lib/apt/lists/lock."],
  });
  await requireDebianPackages([GENISOIMAGE], { machine });
  expect(machine.commands.filter((command) => command[1] === "update")).toHaveLength(2);
});

test.each([
  ["without root", { isRoot: false }, {}],
  ["on another system than Debian", { isDebian: false }, {}],
  ["when it may not install", {}, { install: false }],
])("%s the error names the one command", async (_case, machineOptions, options) => {
  const machine = fakeMachine(machineOptions);
  const failure = await requireDebianPackages([GENISOIMAGE], { machine, ...options }).catch(
    (error: unknown) => error,
  );
  expect(isLabError(failure, "LAB_PACKAGES_MISSING")).toBe(true);
  expect(String(failure)).toContain(debianInstallCommand(["genisoimage"]));
  expect(machine.commands).toEqual([]);
});

test("a failure of apt-get and a package without the expected command are errors", async () => {
  const broken = fakeMachine({ updateFailures: ["E: The repository has no Release file."] });
  await expect(requireDebianPackages([GENISOIMAGE], { machine: broken })).rejects.toMatchObject({
    code: "LAB_COMMAND_FAILED",
    message: expect.stringContaining("Release file"),
  });
  await expect(
    requireDebianPackages([GENISOIMAGE], { machine: fakeMachine() }),
  ).rejects.toMatchObject({ code: "LAB_PACKAGES_MISSING" });
});

test("an abort before the start is honoured", async () => {
  const reason = new Error("no longer needed");
  const machine = fakeMachine();
  await expect(
    requireDebianPackages([GENISOIMAGE], { machine, signal: AbortSignal.abort(reason) }),
  ).rejects.toBe(reason);
  expect(machine.commands).toEqual([]);
});
