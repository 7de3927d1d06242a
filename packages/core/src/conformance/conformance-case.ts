/** One thing that an implementation of a port must do. */
export interface ConformanceCase<Fixture> {
  /** Stable; used in reports and waivers. */
  readonly id: string;
  readonly title: string;
  /**
   * Dotted paths into the capability manifest that must be true for the case to apply, such as `consoles.serial`; with a
   * value behind `=` they must have that value, such as `placement=delegated`.
   */
  readonly requires: readonly string[];
  /**
   * Rejects when the implementation does not do it.
   *
   * @param openAnother Gives a second instance, which must share nothing with the first.
   */
  run(fixture: Fixture, openAnother: OpenFixture<Fixture>): Promise<void>;
}

/** A suite for a port: cases, and how to know what an implementation can do. */
export interface ConformanceSuite<Fixture> {
  readonly port: string;
  /** The first one proves that the factory gives isolated instances: without that no other result means anything. */
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
  readonly outcome: "passed" | "failed" | "not applicable" | "waived" | "needless waiver";
  /** What the case failed with, or the capabilities that are lacking, or the reason of the waiver. */
  readonly detail?: string;
}

/** The capabilities that a case needs and a manifest lacks. */
export function lackingCapabilities(
  { requires }: { readonly requires: readonly string[] },
  capabilities: object,
): string[] {
  return requires.filter((requirement) => {
    const [path = "", wanted] = requirement.split("=");
    let value: unknown = capabilities;
    for (const part of path.split(".")) {
      value = typeof value === "object" && value !== null ? Reflect.get(value, part) : undefined;
    }
    return wanted === undefined ? value !== true : value !== wanted;
  });
}

/**
 * Runs a suite without any test runner and reports every case. A waived case that passes is reported as having a
 * needless waiver.
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
    const waiver = waivers[id];
    try {
      await conformanceCase.run(fixture, open);
      if (waiver === undefined) results.push({ id, title, outcome: "passed" });
      else results.push({ id, title, outcome: "needless waiver", detail: waiver });
    } catch (error) {
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
