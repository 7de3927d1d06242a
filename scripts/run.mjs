// Runs a job of the repository right after `git clone`: installs the packages when they are missing or outdated, and
// goes on with the Node of the lockfile. Plain JavaScript, because it must run before anything is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, "node_modules", ".bin");
const stamp = join(root, "node_modules", ".polyvisor-lockfile");
const MINIMUM_NODE = [22, 19];

const BENCHES = [
  "packages/core/bench/addresses.bench.ts",
  "packages/core/bench/platform.bench.ts",
  "packages/core/bench/addresses.bench.ts",
  "packages/backend-libvirt/bench/rpc.bench.ts",
  "packages/backend-libvirt/bench/fleet.bench.ts",
  "packages/backend-libvirt/bench/start.bench.ts",
  "packages/backend-libvirt/bench/storage.bench.ts",
  "packages/backend-libvirt/bench/migration.bench.ts",
];

function run(command, args) {
  const path = `${bin}${delimiter}${process.env.PATH ?? ""}`;
  const env = { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: "1" };
  const { status, error, signal } = spawnSync(command, args, { cwd: root, env, stdio: "inherit" });
  if (error) throw error;
  if (signal) process.exit(1);
  if (status !== 0) process.exit(status ?? 1);
}

function install() {
  const lockfile = readFileSync(join(root, "package-lock.json"));
  const digest = createHash("sha256").update(lockfile).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  console.log("Installing the packages of the lockfile (npm ci)");
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, digest);
}

function node() {
  const packaged = join(bin, "node");
  if (existsSync(packaged)) return packaged;
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = MINIMUM_NODE;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor))
    return process.execPath;
  console.error(
    `Node ${process.versions.node} is too old and there is no packaged one for this machine: install Node ${MINIMUM_NODE.join(".")} or newer`,
  );
  process.exit(1);
}

function runSource(file, args = []) {
  run(node(), ["--conditions=@polyvisor/source", join(root, file), ...args]);
}

const jobs = {
  start: (args) => runSource("examples/quickstart/main.ts", args),
  test() {
    runSource("scripts/require-test-tools.ts");
    // The tests of one package at a time: several of them boot guests, and two cores are few.
    run("turbo", ["run", "build", "lint:pkg"]);
    run("tsc", ["-b"]);
    run("npm", ["run", "--silent", "lint"]);
    run("turbo", ["run", "test", "--concurrency=1", "--output-logs=full"]);
  },
  bench() {
    runSource("scripts/require-test-tools.ts");
    BENCHES.forEach((file) => runSource(file));
    run("npm", ["run", "--silent", "bench", "--workspace=@polyvisor/image-tools"]);
    run("npm", ["run", "--silent", "bench", "--workspace=@polyvisor/simulator"]);
  },
};

const [name = "", ...args] = process.argv.slice(2);
const job = jobs[name];
if (job === undefined) {
  console.error(`Usage: node scripts/run.mjs ${Object.keys(jobs).join("|")}`);
  process.exit(2);
}
install();
job(args);
