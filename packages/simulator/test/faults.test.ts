import { type DataCenterOptions, simulateDataCenter } from "@polyvisor/simulator";
import { describe, expect, it } from "vitest";

/** Faults as somebody could write them, and what the error says. */
const WRONG: readonly [unknown, string][] = [
  ["crash", "faults[0]: is no object"],
  [{}, 'faults[0]: says nothing that happens: write "on" or exactly one of cut, powerOff'],
  [{ on: "startGest", fail: "refused" }, 'faults[0].on: "startGest" is no call: use one of hosts'],
  [{ on: "startGuest" }, "faults[0]: does nothing: write how the call fails"],
  [{ on: "startGuest", fail: "lost" }, 'faults[0].fail: "lost" is not known: use one of'],
  [
    { on: "startGuest", hosts: "node-1", fail: "refused" },
    'faults[0] (a call of Hypervisor): does not know "hosts": use on, nth',
  ],
  [
    { on: "createVolume", guest: "web", fail: "refused" },
    'faults[0] (a call of Storage): does not know "guest"',
  ],
  [
    { on: "startGuest", host: "node-9", fail: "refused" },
    'faults[0]: there is no host "node-9": there are node-1, node-2, node-3',
  ],
  [
    { on: "startGuest", after: "5 seconds" },
    'faults[0].after: "5 seconds" is no duration: write a number and a unit, such as "500ms"',
  ],
  [{ on: "startGuest", nth: 0, fail: "refused" }, "faults[0].nth: 0 is no whole number from 1"],
  [
    { on: "startGuest", probability: 2, fail: "refused" },
    "faults[0].probability: 2 is not from 0 to 1",
  ],
  [{ powerOff: "node-1" }, "faults[0].at: is missing"],
  [{ at: "1m", powerOff: "node-1", crash: "web" }, "faults[0]: says several things"],
  [{ at: "1m", crash: "web", for: "1m" }, "faults[0].for: crash cannot be undone: leave it out"],
  [{ at: "1m", cut: { between: ["manager"] } }, "faults[0].cut.between: is no pair of names"],
  [
    { at: "1m", cut: { between: ["manager", "nowhere"] } },
    'faults[0]: nothing in the data centre is called "nowhere": there are manager, images',
  ],
  [{ at: "1m", fill: "san" }, 'faults[0]: there is no storage "san": there are storage'],
];

describe("the fault language", () => {
  it.each(WRONG)("refuses %j", (fault, message) => {
    const faults = [fault] as DataCenterOptions["faults"] & {};
    expect(() => simulateDataCenter({ faults })).toThrow(message);
  });
});

const never = new AbortController().signal;

function storageOf(options: DataCenterOptions) {
  const center = simulateDataCenter(options);
  const storage = center.parts.backends.find((part) => part.storage)?.storage;
  if (!storage) throw new Error("no storage");
  const use = { accessMode: "ReadWriteMany", volumeMode: "Block" } as const;
  const create = (name: string) =>
    center.clock.until(
      storage
        .createVolume({ name, storageClass: "storage", sizeBytes: 512, use }, never)
        .then(() => "made")
        .catch((error: { code?: string; message: string }) => error.code ?? error.message),
    );
  return { center, storage, create };
}

describe("calls that fail", () => {
  it("fail by number", async () => {
    const { center, create } = storageOf({
      faults: [{ on: "createVolume", nth: 2, times: 2, fail: "refused", message: "not today" }],
    });
    const outcomes = [await create("a"), await create("b"), await create("c"), await create("d")];
    expect(outcomes).toEqual(["made", "POLYVISOR_REFUSED", "POLYVISOR_REFUSED", "made"]);
    expect(center.storage("storage").volumes()).toEqual(["a", "d"]);
  });

  it("lose their answer after they were carried out, or were never heard", async () => {
    const { center, create } = storageOf({
      faults: [
        { on: "createVolume", nth: 1, fail: "lost-answer", after: "5s" },
        { on: "createVolume", nth: 1, fail: "lost-request" },
        { on: "createVolume", nth: 1, fail: "unavailable" },
        { on: "createVolume", nth: 1, fail: "failed", message: "a bug" },
      ],
    });
    const start = center.clock.now();
    expect(await create("a")).toBe("POLYVISOR_OUTCOME_UNKNOWN");
    expect(center.clock.now() - start).toBeGreaterThanOrEqual(5_000);
    const outcomes = [await create("b"), await create("c"), await create("d"), await create("e")];
    expect(outcomes).toEqual([
      "POLYVISOR_OUTCOME_UNKNOWN",
      "POLYVISOR_UNAVAILABLE",
      "a bug",
      "made",
    ]);
    expect(center.storage("storage").volumes()).toEqual(["a", "e"]);
  });

  it("fail during a time, and no longer when the fault is taken away", async () => {
    const { center, create } = storageOf({});
    const fault = center.addFault({ on: "createVolume", at: "1m", for: "1m", fail: "unavailable" });
    expect(await create("a")).toBe("made");
    await center.clock.advance(60_000);
    expect(await create("b")).toBe("POLYVISOR_UNAVAILABLE");
    fault[Symbol.dispose]();
    expect(await create("b")).toBe("made");
  });

  it("fail by chance, the same calls with the same seed", async () => {
    const outcomes = async (seed: number): Promise<string> => {
      const { create } = storageOf({
        seed,
        faults: [{ on: "createVolume", probability: 0.5, fail: "refused" }],
      });
      let found = "";
      for (let index = 0; index < 40; index += 1)
        found += (await create(`v${index}`)) === "made" ? "." : "x";
      return found;
    };
    const first = await outcomes(7);
    expect(first).toContain("x");
    expect(first).toContain(".");
    expect(await outcomes(7)).toBe(first);
    expect(await outcomes(8)).not.toBe(first);
  });
});
