import { type Clock, type GuestDisk, type Hotplug, PolyvisorError } from "@polyvisor/core";
import type { GuestEngine } from "../guests/guest-engine.ts";
import type { GuestRun } from "../guests/guest-run.ts";
import { type SimulatedVolume, type VolumeDirectory } from "../storage/simulated-volume.ts";
import { pause } from "../time/pause.ts";
import type { GuestCalls } from "./guest-calls.ts";

/** Disks that a guest has places for. */
const PLACES = 32;
/** Milliseconds that a guest takes to let go of a disk, and after which a silent one is given up. */
const UNPLUG_TIME = 1_000;
const UNPLUG_PATIENCE = 10_000;

/** Plugs disks into guests that run. */
export function simulatedHotplug(options: {
  readonly calls: GuestCalls;
  readonly engine: GuestEngine;
  readonly volumes: VolumeDirectory;
  readonly clock: Clock;
}): Hotplug {
  const { calls, engine, volumes, clock } = options;
  const unplug = async (run: GuestRun, disk: GuestDisk, signal: AbortSignal): Promise<void> => {
    if (run.behaviour.unplug === "refuses")
      throw new PolyvisorError(
        "POLYVISOR_REFUSED",
        `the guest keeps disk ${disk.name}: it is in use`,
      );
    if (run.behaviour.unplug === "silent" || run.system !== "up") {
      await pause(clock, UNPLUG_PATIENCE, signal);
      const message = `the guest has not let go of disk ${disk.name} within ${UNPLUG_PATIENCE / 1000} s`;
      throw new PolyvisorError("POLYVISOR_TIMEOUT", message);
    }
    await pause(clock, UNPLUG_TIME, signal);
    if (!run.isActive || !run.disks.includes(disk)) return;
    run.disks = run.disks.filter((other) => other !== disk);
    engine.access.releaseDisk(run, disk);
    engine.record("disk-unplugged", run, { disk: disk.name });
    engine.changed(run);
  };
  return {
    attachDisk: (ref, host, disk, signal) =>
      calls.onGuest({ verb: "attachDisk", ref, host }, signal, (run) => {
        if (run.disks.some(({ name }) => name === disk.name)) return;
        const objection =
          run.disks.length >= PLACES
            ? `the guest has ${PLACES} disks and no place for more`
            : engine.access.objection(run.host, disk);
        if (objection !== undefined) throw new PolyvisorError("POLYVISOR_REFUSED", objection);
        run.disks = [...run.disks, disk];
        engine.access.takeDisk(run, disk);
        engine.record("disk-plugged", run, { disk: disk.name });
        engine.changed(run);
      }),
    detachDisk: (ref, host, name, signal) =>
      calls.onGuest({ verb: "detachDisk", ref, host }, signal, async (run) => {
        const disk = run.disks.find((other) => other.name === name);
        if (disk) await unplug(run, disk, signal);
      }),
    resizeDisk: (ref, host, name, sizeBytes, signal) =>
      calls.onGuest({ verb: "resizeDisk", ref, host }, signal, (run) => {
        const disk = run.disks.find((other) => other.name === name);
        const volume: SimulatedVolume | undefined = disk && volumes.find(disk.source);
        if (!volume || volume.state.sizeBytes < sizeBytes) {
          const message = volume
            ? `the volume of disk ${name} has ${volume.state.sizeBytes} bytes, and not ${sizeBytes}`
            : `the guest has no disk ${name}`;
          throw new PolyvisorError("POLYVISOR_REFUSED", message);
        }
        engine.record("disk-resized", run, { disk: name, sizeBytes });
      }),
  };
}
