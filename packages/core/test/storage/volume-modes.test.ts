import { describe, expect, it } from "vitest";
import type { VolumeUse } from "../../src/backend/storage.ts";
import { chooseBindingMode, chooseVolumeModes } from "../../src/storage/volume-modes.ts";

const RWX_BLOCK: VolumeUse = { accessMode: "ReadWriteMany", volumeMode: "Block" };
const RWX_FILE: VolumeUse = { accessMode: "ReadWriteMany", volumeMode: "Filesystem" };
const RWO_BLOCK: VolumeUse = { accessMode: "ReadWriteOnce", volumeMode: "Block" };
const RWO_FILE: VolumeUse = { accessMode: "ReadWriteOnce", volumeMode: "Filesystem" };
const ALL = [RWO_FILE, RWO_BLOCK, RWX_FILE, RWX_BLOCK];
const PREFIX = "virtualdisk.virtualization.deckhouse.io";
const VOLUME = `${PREFIX}/volume-mode`;
const ACCESS = `${PREFIX}/access-mode`;

type Annotations = Record<string, string>;

describe("chooseVolumeModes", () => {
  // The order is the administrator guide's.
  it.each<[string, readonly VolumeUse[], Annotations, Annotations, VolumeUse]>([
    ["RWX + Block first", ALL, {}, {}, RWX_BLOCK],
    ["RWX + Filesystem second", ALL.slice(0, 3), {}, {}, RWX_FILE],
    ["RWO + Block third", ALL.slice(0, 2), {}, {}, RWO_BLOCK],
    ["RWO + Filesystem last", ALL.slice(0, 1), {}, {}, RWO_FILE],
    ["RWO + Filesystem of a storage that is not known", [], {}, {}, RWO_FILE],
    ["the volume mode of the class", ALL, {}, { [VOLUME]: "Filesystem" }, RWX_FILE],
    ["the access mode of the class", ALL, {}, { [ACCESS]: "ReadWriteOnce" }, RWO_BLOCK],
    [
      "what the disk says before that",
      ALL,
      { [ACCESS]: "ReadWriteMany" },
      { [ACCESS]: "ReadWriteOnce", [VOLUME]: "Filesystem" },
      RWX_FILE,
    ],
    ["what is said of an unknown storage", [], { [VOLUME]: "Block" }, {}, RWO_BLOCK],
    ["nothing that is no mode", ALL, { [VOLUME]: "Tape" }, {}, RWX_BLOCK],
  ])("takes %s", (_, offered, diskAnnotations, classAnnotations, modes) => {
    expect(chooseVolumeModes({ offered, diskAnnotations, classAnnotations })).toEqual(modes);
  });
});

describe("chooseBindingMode", () => {
  const late = { [`${PREFIX}/binding-mode`]: "WaitForFirstConsumer" };
  const early = { [`${PREFIX}/binding-mode`]: "Immediate" };
  it.each<[Annotations, Annotations, "Immediate" | "WaitForFirstConsumer", string]>([
    [{}, {}, "Immediate", "Immediate"],
    [{}, {}, "WaitForFirstConsumer", "WaitForFirstConsumer"],
    [{}, late, "Immediate", "WaitForFirstConsumer"],
    [early, late, "WaitForFirstConsumer", "Immediate"],
  ])("of %j, %j and %s is %s", (diskAnnotations, classAnnotations, classMode, mode) => {
    expect(chooseBindingMode({ diskAnnotations, classAnnotations, classMode })).toBe(mode);
  });
});
