import { setTimeout as sleep } from "node:timers/promises";
import { startEmbeddedHost } from "../../src/lab/index.ts";

// A program that owns a host: tells how to reach it, then ends in the way that its argument names.
const ending = process.argv[2];
const host = await startEmbeddedHost({ detached: ending === "detached" });
process.stdout.write(`${JSON.stringify(host.describe())}\n`);
if (ending === "killed") await sleep(60_000);
