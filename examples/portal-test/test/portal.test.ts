import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createPlatform, type Platform } from "@polyvisor/core";
import { type DataCenter, type DataCenterOptions, simulateDataCenter } from "@polyvisor/simulator";
import { expect, it } from "vitest";
import { Portal } from "../portal.ts";

const IMAGE = "https://images.example.com/debian.qcow2";
const ORDER = { name: "shop", cores: 2, memory: "4Gi", image: IMAGE };

interface Shop extends AsyncDisposable {
  readonly center: DataCenter;
  readonly platform: Platform;
  readonly portal: Portal;
}

/** A portal on a data centre in memory. */
async function open(options: DataCenterOptions = {}): Promise<Shop> {
  const center = simulateDataCenter({ images: { [IMAGE]: {} }, ...options });
  const settings = { virtualMachineCIDRs: ["10.66.10.0/24"] };
  const platform = await center.clock.until(createPlatform({ ...center.parts, settings }));
  return {
    center,
    platform,
    portal: new Portal(platform),
    [Symbol.asyncDispose]: () =>
      center.clock.until(Promise.resolve(platform[Symbol.asyncDispose]())),
  };
}

it("delivers what is ordered", async () => {
  await using shop = await open();
  const address = await shop.center.clock.until(shop.portal.deliver(ORDER));
  expect(address).toBe("10.66.10.2");
  expect(await shop.portal.page(shop.center.clock.now())).toBe("shop  Running");
});

it("delivers although the storage fails at first and a host dies meanwhile", async () => {
  await using shop = await open({
    faults: [
      { on: "createVolume", nth: 1, times: 2, fail: "unavailable" },
      { on: "startGuest", nth: 1, fail: "lost-answer" },
      { at: "30s", reset: "node-1" },
    ],
  });
  expect(await shop.center.clock.until(shop.portal.deliver(ORDER))).toBe("10.66.10.2");
  await shop.center.clock.advance(600_000);
  expect(await shop.portal.page(shop.center.clock.now())).toBe("shop  Running");
  expect(shop.center.guests()).toHaveLength(1);
  expect(shop.center.violations()).toEqual([]);
});

it("tells the customer what holds a VM up", async () => {
  await using shop = await open();
  const ending = new AbortController();
  const delivery = shop.portal.deliver({ ...ORDER, memory: "512Gi" }, ending.signal);
  await shop.center.clock.advance(600_000);
  expect(await shop.portal.page(shop.center.clock.now())).toMatch(
    /^shop {2}Pending {2}No host can take the VM: node-1 has .* and the VM needs 512\.0 GiB/,
  );
  ending.abort(new Error("the customer has changed their mind"));
  await expect(delivery).rejects.toThrow("changed their mind");
});

it("gives the same evening every time", { timeout: 60_000 }, async () => {
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--conditions=@polyvisor/source",
    main,
  ]);
  expect(stdout).toBe(
    [
      "delivered at 10.66.10.2",
      "shop  Running",
      "crashed and back: shop  Running",
      "shut down from inside: shop  Stopped  The guest does not run: it was shut down from inside.",
      "",
    ].join("\n"),
  );
});
