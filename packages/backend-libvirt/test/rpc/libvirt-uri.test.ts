import { describe, expect, it } from "vitest";

import { isRpcError, parseLibvirtUri } from "../../src/rpc/index.ts";

describe("parseLibvirtUri", () => {
  it.each([
    ["qemu:///system", "qemu:///system", ["virtqemud-sock", "libvirt-sock"]],
    ["qemu+unix:///system", "qemu:///system", ["virtqemud-sock", "libvirt-sock"]],
    ["test:///default", "test:///default", ["libvirt-sock"]],
    ["xen:///", "xen:///", ["virtxend-sock", "libvirt-sock"]],
    ["qemu:///system?mode=direct", "qemu:///system", ["virtqemud-sock"]],
    ["qemu:///system?mode=legacy", "qemu:///system", ["libvirt-sock"]],
    ["qemu:///embed?root=/srv", "qemu:///embed?root=%2Fsrv", ["virtqemud-sock", "libvirt-sock"]],
  ])("%s", (uri, driverUri, sockets) => {
    expect(parseLibvirtUri(uri)).toEqual({
      driverUri,
      socketPaths: sockets.map((name) => `/run/libvirt/${name}`),
    });
  });

  it("takes the socket that the URI names and keeps it from the daemon", () => {
    expect(parseLibvirtUri("qemu+unix:///system?socket=/tmp/my%20sock&x=1")).toEqual({
      driverUri: "qemu:///system?x=1",
      socketPaths: ["/tmp/my sock"],
    });
  });

  it("takes read-only sockets, except for session daemons, which have none", () => {
    const options = { readOnly: true, runtimeDirectory: "/run/user/7" };
    expect(parseLibvirtUri("qemu:///system", { readOnly: true }).socketPaths).toEqual([
      "/run/libvirt/virtqemud-sock-ro",
      "/run/libvirt/libvirt-sock-ro",
    ]);
    expect(parseLibvirtUri("qemu:///session", options).socketPaths).toEqual([
      "/run/user/7/libvirt/virtqemud-sock",
      "/run/user/7/libvirt/libvirt-sock",
    ]);
  });

  it.each([
    ["qemu+ssh://root@host/system", "ssh"],
    ["qemu+tls://host/system", "tls"],
    ["qemu+tcp://host/system", "tcp"],
    ["qemu+libssh2://host/system", "libssh2"],
    ["qemu://host/system", "tls"],
  ])("names the transport of %s and what is supported", (uri, transport) => {
    const error = failure(uri);
    expect(isRpcError(error, "RPC_UNSUPPORTED_TRANSPORT")).toBe(true);
    expect(String(error)).toContain(`"${transport}"`);
    expect(String(error)).toContain('"unix"');
  });

  it("refuses a host with the unix transport", () => {
    expect(failure("qemu+unix://host/system")).toMatchObject({ code: "RPC_UNSUPPORTED_TRANSPORT" });
  });

  it.each([
    "",
    "qemu",
    "qemu:system",
    "/run/libvirt/libvirt-sock",
    "QEMU+:///system",
    "qemu:///system?mode=odd",
    "test:///default?mode=direct",
  ])("refuses %j", (uri) => {
    expect(failure(uri)).toMatchObject({ code: "RPC_INVALID_URI" });
  });

  it("never repeats credentials in an error", () => {
    for (const uri of ["qemu+tcp://user:hunter2@host/system", "user:hunter2@host"]) {
      expect(String(failure(uri))).not.toContain("hunter2");
    }
  });
});

function failure(uri: string): unknown {
  try {
    parseLibvirtUri(uri);
  } catch (error) {
    return error;
  }
  throw new Error("expected an error");
}
