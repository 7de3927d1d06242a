import { createPlatform } from "@polyvisor/core";
import { simulateDataCenter } from "@polyvisor/simulator";
import { Portal } from "./portal.ts";

// An evening in a data centre that does not exist.
const image = "https://images.example.com/debian.qcow2";
const center = simulateDataCenter({ seed: 7, images: { [image]: {} } });
const { clock } = center;
const opening = createPlatform({
  ...center.parts,
  settings: { virtualMachineCIDRs: ["10.66.10.0/24"] },
});
const platform = await clock.until(opening);
const portal = new Portal(platform);

const address = await clock.until(portal.deliver({ name: "shop", cores: 2, memory: "4Gi", image }));
console.log(`delivered at ${address}`);
console.log(await portal.page(clock.now()));

center.guest("shop").crash();
await clock.advance(60_000);
console.log(`crashed and back: ${await portal.page(clock.now())}`);

center.guest("shop").shutDown();
await clock.advance(60_000);
console.log(`shut down from inside: ${await portal.page(clock.now())}`);

await clock.until(Promise.resolve(platform[Symbol.asyncDispose]()));
