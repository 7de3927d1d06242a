import { PolyvisorError } from "@polyvisor/core";
import type { GuestControls } from "../data-center.ts";
import type { SimulatedVolume, VolumeDirectory } from "../storage/simulated-volume.ts";
import type { GuestEngine } from "./guest-engine.ts";
import type { GuestRun } from "./guest-run.ts";

/** The verbs of whoever is inside of a guest. */
export function guestControls(
  find: () => GuestRun,
  context: { readonly engine: GuestEngine; readonly volumes: VolumeDirectory },
): GuestControls {
  const { engine, volumes } = context;
  const volumeOf = (name: string): SimulatedVolume => {
    const run = find();
    const disk = run.disks.find((each) => each.name === name);
    const volume = disk && volumes.find(disk.source);
    if (volume) return volume;
    const known = run.disks.map((each) => each.name).join(", ") || "none";
    throw new PolyvisorError(
      "POLYVISOR_NOT_FOUND",
      `guest ${run.title} has no disk ${JSON.stringify(name)}: it has ${known}`,
    );
  };
  return {
    get state() {
      return find().state;
    },
    get spec() {
      return find().spec;
    },
    shutDown: () => engine.leave(find(), "guest-shutdown"),
    reboot: () => engine.leave(find(), "guest-reset"),
    crash: () => engine.end(find(), "crashed"),
    hang: () => engine.hang(find()),
    recover: () => engine.recover(find()),
    startAgent: () => engine.setAgent(find(), true),
    stopAgent: () => engine.setAgent(find(), false),
    behave: (behaviour) => {
      const run = find();
      run.behaviour = { ...run.behaviour, ...behaviour };
    },
    write: (disk, offset, bytes) => {
      const volume = volumeOf(disk);
      if (offset + bytes.length > volume.state.sizeBytes) {
        const message = `disk ${disk} has ${volume.state.sizeBytes} bytes`;
        throw new PolyvisorError("POLYVISOR_INVALID", message);
      }
      volume.content = volume.content.written(offset, bytes);
    },
    read: (disk, offset, length) => volumeOf(disk).content.bytes(offset, length),
  };
}
