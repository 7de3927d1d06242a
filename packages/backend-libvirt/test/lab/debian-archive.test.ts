import { expect, test } from "vitest";
import { parsePackages, resolveDebianPackages } from "../../src/lab/debian-archive.ts";
import { guestImageKey } from "../../src/lab/guest-image.ts";
import { resolvePackages } from "./resolve-packages.ts";

test("name, version and the first of alternative dependencies are read", () => {
  const text = `Package: agent
Version: 1:7.2+dfsg-7
Depends: libc6 (>= 2.34), libold0 (>= 2.63) | libnew0, lib-three:any
Pre-Depends: init-system-helpers (>= 1.54~)
Description: words
 Depends: not this

Package: plain
Version: 2

`;
  expect(parsePackages(text)).toEqual([
    {
      name: "agent",
      version: "1:7.2+dfsg-7",
      dependencies: ["init-system-helpers", "libc6", "libold0", "lib-three"],
    },
    { name: "plain", version: "2", dependencies: [] },
  ]);
});

test("dependencies are followed as far as asked for", { timeout: 60_000 }, async () => {
  const packages = await resolvePackages(["qemu-guest-agent"], (name) => name.startsWith("lib"));
  const names = packages.map(({ name }) => name);
  expect(names).toEqual([...names].sort());
  expect(names).toEqual(expect.arrayContaining(["libc6", "qemu-guest-agent"]));
  expect(names).not.toContain("init-system-helpers");
});

test(
  "a package that nobody has is an error that says what to do",
  { timeout: 60_000 },
  async () => {
    const unknown = resolveDebianPackages(["polyvisor-no-such-package"], { follow: () => false });
    await expect(unknown).rejects.toMatchObject({ code: "LAB_COMMAND_FAILED" });
  },
);

test("the cache key changes with the version of a package", () => {
  const kernel = { name: "linux-image-cloud-amd64", version: "6.1.192-2", dependencies: [] };
  const key = guestImageKey([kernel]);
  expect(key).toMatch(/^guest-image-[0-9a-f]{32}$/);
  expect(guestImageKey([{ ...kernel }])).toBe(key);
  expect(guestImageKey([{ ...kernel, version: "6.1.192-3" }])).not.toBe(key);
});
