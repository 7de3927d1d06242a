import { describe, expect, it } from "vitest";
import {
  chooseStorageClass,
  DEFAULT_CLASS_ANNOTATION,
  type StorageClassInputs,
} from "../../src/storage/storage-class-choice.ts";

function storageClass(
  name: string,
  more: { isDefault?: boolean; day?: number; provisioner?: string } = {},
): { metadata: { name: string; creationTimestamp: string }; provisioner: string } {
  const { isDefault = false, day = 1, provisioner = "replicated" } = more;
  const metadata = {
    name,
    creationTimestamp: `2026-01-0${day}T00:00:00Z`,
    annotations: { [DEFAULT_CLASS_ANNOTATION]: String(isDefault) },
  };
  return { metadata, provisioner };
}

const PLAIN = storageClass("i-linstor-thin-r2");
const CLASSES = [
  storageClass("i-linstor-thin-r1", { isDefault: true }),
  PLAIN,
  storageClass("nfs-4-1-wffc", { provisioner: "nfs" }),
];

function choose(inputs: Partial<StorageClassInputs>): [string | undefined, string, string] {
  const { name, condition } = chooseStorageClass({
    wanted: undefined,
    section: "virtualDisks",
    settings: {},
    classes: CLASSES,
    storages: ["replicated"],
    ...inputs,
  });
  return [name, condition.reason, condition.message];
}

const setting = "spec.settings.virtualDisks of ModuleConfig/virtualization";
const field = "spec.persistentVolumeClaim.storageClassName";
const r1 = "i-linstor-thin-r1";
const r2 = "i-linstor-thin-r2";

describe("chooseStorageClass", () => {
  it.each<[string, Partial<StorageClassInputs>, string]>([
    ["the one that is named", { wanted: r2 }, r2],
    [
      "the named one before the default of the settings",
      { wanted: r1, settings: { defaultStorageClassName: r2 } },
      r1,
    ],
    [
      "the default of the settings before the marked one",
      { settings: { defaultStorageClassName: r2 } },
      r2,
    ],
    ["the marked one", {}, r1],
    [
      "of several marked ones the newest",
      { classes: [...CLASSES, storageClass("new", { isDefault: true, day: 2 })] },
      "new",
    ],
    [
      "of those of one age the first by name",
      { classes: [...CLASSES, storageClass("a", { isDefault: true })] },
      "a",
    ],
    ["an allowed one", { wanted: r2, settings: { allowedStorageClassNames: [r2] } }, r2],
    [
      "the default one, also when it is not listed",
      { settings: { allowedStorageClassNames: [r2] } },
      r1,
    ],
  ])("takes %s", (_, inputs, name) => {
    expect(choose(inputs)).toEqual([name, "StorageClassReady", ""]);
  });

  it.each<[string, Partial<StorageClassInputs>, string]>([
    [
      "none is marked",
      { classes: [PLAIN] },
      `No StorageClass is marked as default: set ${field}, or defaultStorageClassName in ${setting}.`,
    ],
    [
      "the named one does not exist",
      { wanted: "fast" },
      `${field}: StorageClass "fast" does not exist: create it or choose another.`,
    ],
    [
      "that of the settings does not exist",
      { settings: { defaultStorageClassName: "fast" } },
      `The default StorageClass "fast" of ${setting} does not exist: create it or choose another.`,
    ],
    [
      "it is not allowed",
      { wanted: r2, settings: { allowedStorageClassNames: ["a", "b"] } },
      `${field}: StorageClass "i-linstor-thin-r2" is not among those that ${setting} allows: choose one of a, b.`,
    ],
    [
      "nobody serves it",
      { wanted: "nfs-4-1-wffc" },
      'StorageClass "nfs-4-1-wffc" is of provisioner "nfs", and the platform has no storage of that name: add that storage or choose another class.',
    ],
  ])("says that %s", (_, inputs, message) => {
    expect(choose(inputs)).toEqual([undefined, "StorageClassNotReady", message]);
  });

  it("has a reason of its own for images", () => {
    const [, reason] = choose({ section: "virtualImages", wanted: "fast" });
    expect(reason).toBe("StorageClassNotFound");
  });
});
