/** One thing that an implementation of a port must do. */
export interface ConformanceCase<Fixture> {
  /** Stable; used in reports and waivers. */
  readonly id: string;
  readonly title: string;
  /** Dotted paths into the capability manifest, such as `consoles.serial`, that must be true for the case to apply. */
  readonly requires: readonly string[];
  /** Rejects when the implementation does not do it. */
  run(fixture: Fixture): Promise<void>;
}

/** A suite for a port: cases, and how to know what an implementation can do. */
export interface ConformanceSuite<Fixture> {
  readonly port: string;
  readonly cases: readonly ConformanceCase<Fixture>[];
  capabilities(fixture: Fixture): object;
}

/** Gives a fresh instance that shares nothing with earlier ones. */
export type OpenFixture<Fixture> = () => Promise<Fixture>;

/** Cases that are known to fail, by id, each with the reason. They are run and reported all the same. */
export type Waivers = Readonly<Record<string, string>>;

/** How a case went. */
export interface ConformanceResult {
  readonly id: string;
  readonly title: string;
  readonly outcome: "passed" | "failed" | "not applicable" | "waived";
  /** What the case failed with, or the capabilities that are lacking, or the reason of the waiver. */
  readonly detail?: string;
}

/** The capabilities that a case needs and a manifest lacks. */
export function lackingCapabilities(
  { requires }: { readonly requires: readonly string[] },
  capabilities: object,
): string[] {
  return requires.filter((path) => {
    let value: unknown = capabilities;
    for (const part of path.split(".")) {
      value = typeof value === "object" && value !== null ? Reflect.get(value, part) : undefined;
    }
    return value !== true;
  });
}

/**
 * Runs a suite without any test runner and reports every case.
 *
 * @throws an error when a waiver names no case of the suite.
 */
export async function runConformance<Fixture extends AsyncDisposable>(
  suite: ConformanceSuite<Fixture>,
  open: OpenFixture<Fixture>,
  options: { readonly waivers?: Waivers } = {},
): Promise<readonly ConformanceResult[]> {
  const { waivers = {} } = options;
  checkWaivers(suite, waivers);
  const results: ConformanceResult[] = [];
  for (const conformanceCase of suite.cases) {
    const { id, title } = conformanceCase;
    await using fixture = await open();
    const lacking = lackingCapabilities(conformanceCase, suite.capabilities(fixture));
    if (lacking.length > 0) {
      results.push({ id, title, outcome: "not applicable", detail: `lacks ${lacking.join(", ")}` });
      continue;
    }
    try {
      await conformanceCase.run(fixture);
      results.push({ id, title, outcome: "passed" });
    } catch (error) {
      const waiver = waivers[id];
      const detail = waiver ?? (error instanceof Error ? error.message : String(error));
      results.push({ id, title, outcome: waiver === undefined ? "failed" : "waived", detail });
    }
  }
  return results;
}

/** @throws an error when a waiver names no case of the suite. */
export function checkWaivers(
  suite: { readonly port: string; readonly cases: readonly { readonly id: string }[] },
  waivers: Waivers,
): void {
  const unknown = Object.keys(waivers).filter(
    (id) => !suite.cases.some((entry) => entry.id === id),
  );
  if (unknown.length === 0) return;
  throw new Error(
    `the suite for ${suite.port} has no case ${unknown.join(", ")}: remove the waiver`,
  );
}
