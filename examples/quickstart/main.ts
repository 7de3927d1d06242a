import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPlatform, type Platform } from "@polyvisor/core";
import { libvirtBackend } from "@polyvisor/backend-libvirt";
import { buildGuestImage } from "@polyvisor/backend-libvirt/lab";
import { directoryImageStore } from "@polyvisor/image-tools";
import { copyUntilLogin } from "./console-log.ts";
import { serveImage } from "./image-server.ts";
import { showLiveTable } from "./live-table.ts";
import { type QuickstartOptions, readOptions, USAGE } from "./options.ts";
import { embeddedPlace, existingPlace, type Place } from "./place.ts";

/** The URL in the manifests, which is replaced by that of the image that is used. */
const MANIFEST_URL =
  "https://cloud-images.ubuntu.com/minimal/releases/jammy/release/ubuntu-22.04-minimal-cloudimg-amd64.img";
const MACHINE = "linux-vm";
/** Milliseconds that an image of a distribution may take to boot under emulation. */
const BOOT_TIMEOUT = 600_000;

function say(message: string): void {
  process.stdout.write(`\n==> ${message}\n`);
}

function note(message: string): void {
  process.stdout.write(`    ${message}\n`);
}

async function quickstart(options: QuickstartOptions, signal: AbortSignal): Promise<void> {
  const { keep, connect } = options;
  await using stack = new AsyncDisposableStack();
  say("A virtual machine image");
  const imageUrl = options.imageUrl ?? (await builtImage(stack, signal));
  note(imageUrl);

  say(connect === undefined ? "A private libvirt host" : "An existing libvirt daemon");
  const place = stack.use(
    connect === undefined
      ? await embeddedPlace({ keep, signal, onProgress: note })
      : existingPlace(connect),
  );
  note(place.uri);

  const images = await mkdtemp(join(tmpdir(), "polyvisor-images-"));
  stack.defer(() => rm(images, { recursive: true, force: true }));
  const platform = stack.use(
    await createPlatform({
      backends: [libvirtBackend({ hosts: { "node-1": place.uri } })],
      imageStore: directoryImageStore({ path: images }),
      settings: { virtualMachineCIDRs: ["10.66.10.0/24"] },
    }),
  );
  await requireHost(platform);
  try {
    await run(platform, imageUrl, signal);
    await enter(platform, place, signal);
    if (keep) return leaveRunning(platform, place);
    await removeAll(platform, signal);
  } catch (error) {
    // What was made is removed also when something went wrong or the person has had enough.
    if (!keep) await removeAll(platform, AbortSignal.timeout(30_000)).catch(() => {});
    throw error;
  }
}

async function builtImage(stack: AsyncDisposableStack, signal: AbortSignal): Promise<string> {
  const { path } = await buildGuestImage({ signal, onProgress: note });
  return stack.use(await serveImage(path)).url;
}

async function requireHost(platform: Platform): Promise<void> {
  const node = await platform.nodes.waitFor(
    "node-1",
    { until: ({ status }) => status !== undefined },
    { timeout: 10_000 },
  );
  const ready = node.status?.conditions.find(({ type }) => type === "Ready");
  if (ready?.status !== "True") throw new Error(ready?.message ?? "the host does not answer");
}

async function run(platform: Platform, imageUrl: string, signal: AbortSignal): Promise<void> {
  say("kubectl apply -f quickstart.yaml; kubectl get vi,vd,vm -w");
  const yaml = await readFile(new URL("./quickstart.yaml", import.meta.url), "utf8");
  await using _table = showLiveTable(platform, process.stdout);
  await platform.apply(yaml.replace(MANIFEST_URL, imageUrl));
  await platform.virtualImages.waitFor("ubuntu", { phase: "Ready" }, { signal });
  await platform.virtualDisks.waitFor("linux-disk", { phase: "Ready" }, { signal });
  await platform.virtualMachines.waitFor(
    MACHINE,
    { phase: "Running" },
    { signal, timeout: 120_000 },
  );
}

async function enter(platform: Platform, place: Place, signal: AbortSignal): Promise<void> {
  say(`The serial console of ${MACHINE}`);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(BOOT_TIMEOUT)]);
  await using console = await platform.virtualMachines.console(MACHINE, { signal: limit });
  await copyUntilLogin(console, process.stdout);
  const { status } = await platform.virtualMachines.get(MACHINE);
  const address = status?.ipAddress ?? "";
  say(`Does ${MACHINE} answer at ${address}?`);
  const answer = await place.answers(address, signal);
  if (answer === false) throw new Error(`${MACHINE} does not answer at ${address}`);
  note(
    answer === undefined
      ? "its host is another machine: ask from there"
      : `yes: ${MACHINE} answers at ${address}`,
  );
}

function leaveRunning(platform: Platform, place: Place): void {
  say(`${MACHINE} goes on running`);
  note("Log in as cloud with the password cloud.");
  for (const line of place.instructions(`default_${MACHINE}`, "polyvisor-10.66.10.0-24"))
    note(line);
}

async function removeAll(platform: Platform, signal: AbortSignal): Promise<void> {
  say("kubectl delete vm,vd,vi --all");
  const limits = { signal, timeout: 120_000 };
  for (const client of [platform.virtualMachines, platform.virtualDisks, platform.virtualImages]) {
    for (const { metadata } of (await client.list()).items) {
      await client.delete(metadata.name);
      await client.waitFor(metadata.name, { deleted: true }, limits);
      note(`${client.kind.toLowerCase()}.virtualization.deckhouse.io "${metadata.name}" deleted`);
    }
  }
}

const ending = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => ending.abort(new Error(`stopped by ${name}`)));
}
try {
  const options = readOptions(process.argv.slice(2), process.env);
  if (options === "help") process.stdout.write(`${USAGE}\n`);
  else await quickstart(options, ending.signal);
} catch (error) {
  process.stderr.write(
    `\nThe quickstart has failed: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exitCode = 1;
}
