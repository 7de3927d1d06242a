import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { cpioArchive, type CpioEntry } from "./cpio-archive.ts";
import { GUEST_BOOT_MODULES, GUEST_FILES, GUEST_SEED_MODULES } from "./guest-scripts.ts";
import { modulesDependencyFile, readKernelModules } from "./kernel-modules.ts";
import { LabError } from "./lab-error.ts";
import { runChecked } from "./run-command.ts";

const LOADER = "lib64/ld-linux-x86-64.so.2";
const AGENT = "usr/sbin/qemu-ga";
const LIBRARY_FOLDERS = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
const FOLDERS = [
  "bin",
  "dev",
  "etc",
  "etc/acpi",
  "etc/acpi/PWRF",
  "home",
  "lib",
  "lib/modules",
  "lib64",
  "proc",
  "root",
  "run",
  "run/acpid",
  "run/seed",
  "sbin",
  "sys",
  "tmp",
  "usr",
  "usr/bin",
  "usr/sbin",
  "var",
];
const LINKS = { init: "bin/busybox", "var/run": "/run", "bin/qemu-ga": "/usr/sbin/qemu-ga" };

/**
 * Builds the guest's initramfs, compressed with LZ4, out of unpacked Debian packages.
 *
 * @param root where kernel, busybox and guest agent are unpacked.
 * @param options.workDirectory a private folder for the files that the compressor reads and writes.
 * @throws LabError `LAB_IMAGE_FAILED` when something is missing in the packages.
 */
export async function guestInitramfs(
  root: string,
  options: {
    readonly kernelRelease: string;
    readonly workDirectory: string;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Buffer> {
  const { kernelRelease, workDirectory, signal } = options;
  const busybox = join(root, "bin/busybox");
  const [applets, libraries, modules] = await Promise.all([
    runChecked(busybox, ["--list"], { signal }),
    agentLibraries(root, signal),
    readKernelModules(join(root, "lib/modules", kernelRelease, "kernel"), [
      ...GUEST_BOOT_MODULES,
      ...GUEST_SEED_MODULES,
    ]),
  ]);
  const moduleFolder = `lib/modules/${kernelRelease}`;
  const programs = [
    { path: "bin/busybox", source: busybox },
    { path: AGENT, source: join(root, AGENT) },
    { path: LOADER, source: join(root, LOADER) },
    ...libraries.map((source) => ({ path: `lib/${basename(source)}`, source })),
  ];
  const entries: CpioEntry[] = [
    ...[...FOLDERS, moduleFolder].map((path) => directory(path)),
    ...(await Promise.all(
      programs.map(async ({ path, source }) => file(path, 0o755, await readFile(source))),
    )),
    ...applets.stdout
      .split("\n")
      .filter((applet) => applet !== "" && applet !== "busybox")
      .map((applet) => link(`bin/${applet}`, "busybox")),
    ...Object.entries(LINKS).map(([path, target]) => link(path, target)),
    ...modules.map(({ fileName, bytes }) => file(`${moduleFolder}/${fileName}`, 0o644, bytes)),
    file(`${moduleFolder}/modules.dep`, 0o644, Buffer.from(modulesDependencyFile(modules))),
    file("etc/modules", 0o644, Buffer.from(`${GUEST_BOOT_MODULES.join(" ")}\n`)),
    ...GUEST_FILES.map(({ path, mode, text }) => file(path, mode, Buffer.from(text))),
  ];
  return compress(cpioArchive(entries), { workDirectory, signal });
}

// The kernel takes LZ4 in its older frame format only (Linux, lib/decompress_unlz4.c).
async function compress(
  archive: Buffer,
  options: { readonly workDirectory: string; readonly signal: AbortSignal | undefined },
): Promise<Buffer> {
  const source = join(options.workDirectory, "initramfs.cpio");
  const target = `${source}.lz4`;
  await writeFile(source, archive);
  await runChecked("lz4", ["-q", "-l", "-9", source, target], { signal: options.signal });
  return readFile(target);
}

// The unpacked loader lists what the unpacked agent needs, as it would find it inside the guest.
async function agentLibraries(
  root: string,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const folders = LIBRARY_FOLDERS.map((folder) => join(root, folder)).join(":");
  const { stdout } = await runChecked(
    join(root, LOADER),
    ["--library-path", folders, "--list", join(root, AGENT)],
    { signal },
  );
  if (stdout.includes("not found")) {
    throw new LabError("LAB_IMAGE_FAILED", `The guest agent lacks a library:\n${stdout}`);
  }
  const paths = [...stdout.matchAll(/=> (\/\S+)/g)].flatMap((match) => match[1] ?? []);
  return paths.filter(
    (path) => path.startsWith(`${root}/`) && !path.endsWith("/ld-linux-x86-64.so.2"),
  );
}

function directory(path: string): CpioEntry {
  return { path, mode: 0o755, content: { kind: "directory" } };
}

function file(path: string, mode: number, bytes: Uint8Array): CpioEntry {
  return { path, mode, content: { kind: "file", bytes } };
}

function link(path: string, target: string): CpioEntry {
  return { path, mode: 0o777, content: { kind: "symbolic-link", target } };
}
