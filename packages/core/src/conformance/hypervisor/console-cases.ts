import assert from "node:assert/strict";
import type { ByteStream } from "../../backend/hypervisor.ts";
import { failsWith } from "../expectations.ts";
import { type HypervisorCase, running } from "./hypervisor-fixture.ts";

async function firstBytes(stream: ByteStream): Promise<Uint8Array> {
  for await (const bytes of stream) if (bytes.length > 0) return bytes;
  return assert.fail("the stream ended without a byte");
}

/** Serial consoles and screens. */
export const CONSOLE_CASES: readonly HypervisorCase[] = [
  {
    id: "consoles/serial",
    title: "the serial console of a running guest gives bytes and takes them",
    requires: ["consoles.serial"],
    async run(fixture) {
      const { spec } = await running(fixture, "web");
      const signal = AbortSignal.timeout(fixture.patience);
      await using console = await fixture.hypervisor.consoles?.openSerial(spec, { signal });
      assert.ok(console);
      await console.write(Buffer.from("\r"));
      await firstBytes(console);
    },
  },
  {
    id: "consoles/vnc",
    title: "the screen of a running guest speaks RFB",
    requires: ["consoles.vnc"],
    async run(fixture) {
      const { spec } = await running(fixture, "web");
      const signal = AbortSignal.timeout(fixture.patience);
      await using screen = await fixture.hypervisor.consoles?.openVnc?.(spec, { signal });
      assert.ok(screen);
      assert.match(Buffer.from(await firstBytes(screen)).toString(), /^RFB 003\.00\d\n/);
    },
  },
  {
    id: "consoles/not-running",
    title: "a guest that does not run has no console",
    requires: ["consoles.serial"],
    async run(fixture) {
      const { uid, incarnation } = await fixture.guest("web");
      const opening = fixture.hypervisor.consoles?.openSerial({ uid, incarnation }, {});
      await assert.rejects(async () => opening, failsWith("POLYVISOR_NOT_FOUND"));
    },
  },
];
