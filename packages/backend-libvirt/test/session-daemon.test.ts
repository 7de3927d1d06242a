import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { libvirtBackend, type LibvirtHypervisor } from "@polyvisor/backend-libvirt";
import { type EmbeddedHost, startEmbeddedHost } from "@polyvisor/backend-libvirt/lab";
import { afterAll, beforeAll, expect, it } from "vitest";
import { idleGuest, run } from "./support/lab-host.ts";

const never = new AbortController().signal;
const place = { host: "node-1" };
const timeout = 120_000;
/** Of the user `nobody`, who has no rights beyond what everybody has. */
const USER = 65_534;

let host: EmbeddedHost;
let hypervisor: LibvirtHypervisor;
beforeAll(async () => {
  host = await startEmbeddedHost();
  const home = join(host.directory, "run/session");
  await mkdir(home);
  await chown(home, USER, USER);
  const variables = ["HOME=/run/session", "XDG_RUNTIME_DIR=/run/session"];
  const identity = [`--reuid=${USER}`, `--regid=${USER}`, "--clear-groups"];
  await run(host, "setpriv", ...identity, "env", ...variables, "libvirtd", "--daemon");
  const uri = `qemu+unix:///session?socket=${join(home, "libvirt/libvirt-sock")}`;
  ({ hypervisor } = libvirtBackend({ hosts: { "node-1": uri } }));
  await hypervisor.open(never);
}, timeout);
afterAll(async () => {
  await hypervisor[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

it("is reached", { timeout }, async () => {
  await expect
    .poll(async () => (await hypervisor.hosts(never))[0]?.reachable, { timeout: 60_000 })
    .toBe(true);
});

it("runs guests of a user without rights", { timeout }, async () => {
  const guest = { ...idleGuest("mine"), interfaces: [] };
  expect(await hypervisor.startGuest(guest, place, never)).toMatchObject({ power: "running" });
  expect((await hypervisor.guests(never)).guests).toMatchObject([{ uid: guest.uid }]);
  await hypervisor.stopGuest(guest, place, "power-off", never);
  await hypervisor.removeGuest(guest.uid, place, never);
  expect((await hypervisor.guests(never)).guests).toEqual([]);
});

it("says what such a user may not have", { timeout }, async () => {
  const guest = idleGuest("networked");
  await expect(hypervisor.startGuest(guest, place, never)).rejects.toMatchObject({
    code: "POLYVISOR_REFUSED",
  });
  expect((await hypervisor.guests(never)).guests).toEqual([]);
});
