import type { GuestRecord, VirtualMachine } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { guestProblem } from "../../src/machine/guest-needs.ts";
import { machineResources } from "../../src/machine/machine-resources.ts";
import { machineStatistics } from "../../src/machine/machine-statistics.ts";
import { machineSpec, record } from "../support/resources.ts";

type Status = NonNullable<VirtualMachine["status"]>;

function at(second: number): string {
  return new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString().replace(".000", "");
}

/** Lives through phases, each at a second; the agent answers from a second on. */
function live(steps: readonly [Status["phase"], number][], agentFrom = Infinity): Status["stats"] {
  let stats: Status["stats"];
  let since = at(0);
  for (const [phase, second] of steps) {
    const isNewRun = phase === "Running" && stats?.phasesTransitions?.at(-1)?.phase !== "Running";
    if (isNewRun) since = at(second);
    const known: GuestRecord | undefined =
      phase === "Running" ? record("Running", { since }) : undefined;
    stats = machineStatistics({
      previous: stats,
      phase,
      record: known,
      agentReady: { status: second >= agentFrom ? "True" : "False" },
      now: at(second),
    });
  }
  return stats;
}

describe("statistics", () => {
  it("tell how long each part of a launch took, and when it ended", () => {
    const steps: [Status["phase"], number][] = [
      ["Pending", 0],
      ["Pending", 3],
      ["Starting", 5],
      ["Running", 7],
      ["Running", 20],
      ["Running", 30],
    ];
    expect(live(steps, 20)).toEqual({
      phasesTransitions: [
        { phase: "Pending", timestamp: at(0) },
        { phase: "Starting", timestamp: at(5) },
        { phase: "Running", timestamp: at(7) },
      ],
      launchTimeDuration: {
        waitingForDependencies: "5s",
        virtualMachineStarting: "2s",
        guestOSAgentStarting: "13s",
      },
      lastStartTime: at(7),
    });
  });

  it("of a later launch are about that one", () => {
    const steps: [Status["phase"], number][] = [
      ["Starting", 1],
      ["Running", 5],
      ["Stopped", 9],
      ["Starting", 20],
      ["Running", 21],
    ];
    expect(live(steps)?.launchTimeDuration).toEqual({ virtualMachineStarting: "1s" });
  });

  it("keep the last twenty changes of the phase", () => {
    const steps = Array.from({ length: 50 }, (_, index): [Status["phase"], number] => [
      index % 2 === 0 ? "Stopped" : "Starting",
      index,
    ]);
    const kept = live(steps)?.phasesTransitions ?? [];
    expect([kept.length, kept.at(-1)?.timestamp]).toEqual([20, at(49)]);
  });
});

describe("resources", () => {
  it.each([
    [1, "100%", "1000m"],
    [2, "20%", "400m"],
    [3, "5%", "150m"],
    [3, "33%", "990m"],
  ])("of %d cores at %s set %s aside", (cores, coreFraction, requestedCores) => {
    const { cpu } = machineResources(machineSpec({ cpu: { cores, coreFraction } }));
    expect(cpu).toMatchObject({ cores, coreFraction, requestedCores });
  });
});

describe("a hypervisor", () => {
  const CAPABLE = {
    blockSources: ["file"],
    guests: {
      osTypes: ["generic", "windows", "legacy"],
      firmware: ["bios", "efi", "efi-secure-boot"],
      tpm: true,
      emulatedDevices: true,
      cpuFraction: true,
      answerFiles: true,
    },
  } as const;

  it.each<[object, object, string | undefined]>([
    [{}, {}, undefined],
    [{ osType: "Windows" }, { osTypes: ["generic"] }, "cannot run guests of osType Windows"],
    [{ osType: "Windows" }, { tpm: false }, "cannot give guests a TPM, which osType Windows needs"],
    [
      { bootloader: "EFIWithSecureBoot" },
      { firmware: ["bios", "efi"] },
      "cannot start guests with the bootloader EFIWithSecureBoot",
    ],
    [
      { enableParavirtualization: false },
      { emulatedDevices: false },
      "cannot run guests with enableParavirtualization=false",
    ],
    [
      { provisioning: { type: "SysprepRef", sysprepRef: { kind: "Secret", name: "a" } } },
      { answerFiles: false },
      "cannot give guests the answer files of SysprepRef",
    ],
  ])("asked for %j and able to do %j: %s", (spec, guests, expected) => {
    const capabilities = { ...CAPABLE, guests: { ...CAPABLE.guests, ...guests } };
    expect(guestProblem(machineSpec(spec), capabilities, [["file"]])).toBe(expected);
  });

  it("must be able to use the volumes", () => {
    expect(guestProblem(machineSpec(), CAPABLE, [["claim"]])).toBe(
      "cannot use the volumes of the VM's disks",
    );
    expect(guestProblem(machineSpec(), CAPABLE, [["claim", "file"]])).toBeUndefined();
  });
});
