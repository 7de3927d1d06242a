import type { GuestDevice, VirtualMachineBlockDeviceAttachment } from "@polyvisor/core";
import { describe, expect, it } from "vitest";
import { attachmentConflict } from "../../src/machine/attachment-decision.ts";
import { decideDevices, type DeviceInputs } from "../../src/machine/device-decision.ts";
import { metadata } from "../support/resources.ts";

const disk = (name: string) => ({ kind: "VirtualDisk", name }) as const;

/** Such as `a`, `b!Attaching`, `c@attachment`. */
function device(text: string): GuestDevice {
  const [named = "", attachment] = text.split("@");
  const [name = "", state = "Attached"] = named.split("!");
  return {
    ...disk(name),
    volume: `vd-${name}`,
    state: state as GuestDevice["state"],
    shared: true,
    ...(attachment !== undefined && { attachment }),
  };
}

function decide(has: string, refs: string, attachments = ""): string[] {
  const words = (text: string): string[] => text.split(" ").filter(Boolean);
  const inputs: DeviceInputs = {
    devices: words(has).map(device),
    refs: words(refs).map(disk),
    attachments: words(attachments).map((name) => ({ ...disk(name), attachment: `of-${name}` })),
  };
  return decideDevices(inputs).map((action) =>
    action.type === "plug"
      ? `plug ${action.wish.name}${action.wish.attachment === undefined ? "" : " for an attachment"}`
      : `${action.type} ${action.device.name}`,
  );
}

describe("the devices of a running guest", () => {
  it.each<[string, string, string, string[]]>([
    ["a", "a", "", []],
    ["a", "a b", "", ["plug b"]],
    ["a b", "a", "", ["unplug b"]],
    ["a", "a", "b", ["plug b for an attachment"]],
    ["a b@of-b", "a", "b", []],
    ["a b@of-b", "a", "", ["unplug b"]],
    ["a b!Attaching@of-b", "a", "b", ["plug b for an attachment"]],
    ["a b!Attaching@of-b", "a", "", ["unplug b"]],
    ["a b!Detaching", "a", "", ["unplug b"]],
    ["a b!Detaching", "a b", "", ["unplug b"]],
    ["a b!Waiting", "a b", "", ["plug b"]],
    ["a b!Waiting", "a", "", ["forget b"]],
    ["a", "b", "", ["unplug a", "plug b"]],
    ["a", "a b", "b", ["plug b"]],
  ])("which are %j and should be %j and %j", (has, refs, attachments, expected) => {
    expect(decide(has, refs, attachments)).toEqual(expected);
  });

  it("are sixteen at most", () => {
    const names = Array.from({ length: 15 }, (_, index) => `d${index}`).join(" ");
    expect(decide(names, names, "x y z")).toEqual(["plug x for an attachment"]);
    expect(decide(`${names} x@of-x`, names, "x y z")).toEqual([]);
    expect(decide(`${names} x!Detaching`, names, "y z")).toEqual(["unplug x"]);
  });
});

describe("an attachment", () => {
  function attachment(
    name: string,
    vm: string,
    kind: string,
    of: string,
  ): VirtualMachineBlockDeviceAttachment {
    return {
      apiVersion: "virtualization.deckhouse.io/v1alpha2",
      kind: "VirtualMachineBlockDeviceAttachment",
      metadata: metadata(name),
      spec: {
        virtualMachineName: vm,
        blockDeviceRef: { kind: kind as "VirtualDisk", name: of },
      },
    };
  }

  it.each<[string, [string, string, string], [string, string, string][], string | undefined]>([
    ["alone", ["linux", "VirtualDisk", "data"], [], undefined],
    [
      "of a disk of the VM's spec",
      ["linux", "VirtualDisk", "root"],
      [],
      'VirtualDisk "root" is named by the spec of VirtualMachine "linux" already: delete this attachment.',
    ],
    [
      "of a disk that another one has",
      ["linux", "VirtualDisk", "data"],
      [["other", "VirtualDisk", "data"]],
      "another VirtualMachineBlockDeviceAttachment default/first-0 already exists with the same block device data for hot-plugging",
    ],
    [
      "of an image that another VM has too",
      ["linux", "VirtualImage", "iso"],
      [["other", "VirtualImage", "iso"]],
      undefined,
    ],
    [
      "of another disk",
      ["linux", "VirtualDisk", "data"],
      [["linux", "VirtualDisk", "b"]],
      undefined,
    ],
  ])("%s", (_, own, others, expected) => {
    const one = attachment("own", ...own);
    const first = others.map((args, index) => attachment(`first-${index}`, ...args));
    expect(attachmentConflict(one, [...first, one], [disk("root")])).toBe(expected);
  });

  it("that was there first has no conflict with a later one", () => {
    const one = attachment("own", "linux", "VirtualDisk", "data");
    const later = attachment("later", "linux", "VirtualDisk", "data");
    expect(attachmentConflict(one, [one, later], [])).toBeUndefined();
  });
});
