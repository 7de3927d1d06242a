import { describe, it } from "vitest";
import {
  checkWaivers,
  type ConformanceSuite,
  lackingCapabilities,
  type OpenFixture,
  type Waivers,
} from "./conformance-case.ts";

/** Makes a vitest test of every case of a suite. A waived case passes when it fails, and fails when it passes. */
export function describeConformance<Fixture extends AsyncDisposable>(
  name: string,
  suite: ConformanceSuite<Fixture>,
  open: OpenFixture<Fixture>,
  options: {
    readonly waivers?: Waivers;
    /** Milliseconds for each case. Default: that of vitest. */
    readonly timeout?: number;
  } = {},
): void {
  const { waivers = {}, timeout } = options;
  checkWaivers(suite, waivers);
  describe(`${suite.port} conformance: ${name}`, () => {
    for (const conformanceCase of suite.cases) {
      const { id, title } = conformanceCase;
      it(`[${id}] ${title}`, { ...(timeout !== undefined && { timeout }) }, async (context) => {
        await using fixture = await open();
        const lacking = lackingCapabilities(conformanceCase, suite.capabilities(fixture));
        context.skip(lacking.length > 0, `lacks ${lacking.join(", ")}`);
        const waiver = waivers[id];
        if (waiver === undefined) {
          await conformanceCase.run(fixture, open);
          return;
        }
        const failed = await conformanceCase.run(fixture, open).then(
          () => false,
          () => true,
        );
        if (!failed) throw new Error(`the case passes now: remove its waiver (${waiver})`);
      });
    }
  });
}
