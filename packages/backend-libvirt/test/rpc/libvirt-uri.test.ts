import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { isRpcError, parseLibvirtUri } from "../../src/rpc/index.ts";
import { failureOf } from "./support.ts";

describe("unix", () => {
  it.each([
    ["qemu:///system", "qemu:///system", ["virtqemud-sock", "libvirt-sock"]],
    ["qemu+unix:///system", "qemu:///system", ["virtqemud-sock", "libvirt-sock"]],
    ["test:///default", "test:///default", ["libvirt-sock"]],
    ["xen:///", "xen:///", ["virtxend-sock", "libvirt-sock"]],
    ["qemu:///system?mode=direct", "qemu:///system", ["virtqemud-sock"]],
    ["qemu:///system?mode=legacy", "qemu:///system", ["libvirt-sock"]],
    ["qemu:///embed?root=/a+b", "qemu:///embed?root=/a+b", ["virtqemud-sock", "libvirt-sock"]],
    ["qemu:///system?name=test:///default", "test:///default", ["virtqemud-sock", "libvirt-sock"]],
  ])("%s", (uri, driverUri, sockets) => {
    expect(parseLibvirtUri(uri)).toEqual({
      driverUri,
      transport: { type: "unix", socketPaths: sockets.map((name) => `/run/libvirt/${name}`) },
    });
  });

  it("takes the socket that the URI names and keeps it from the daemon", () => {
    expect(parseLibvirtUri("qemu+unix:///system?socket=/tmp/my%20s+ck&x=1&y")).toEqual({
      driverUri: "qemu:///system?x=1&y",
      transport: { type: "unix", socketPaths: ["/tmp/my s+ck"] },
    });
  });

  it("takes read-only sockets, except for session daemons, which have none", () => {
    const options = { readOnly: true, runtimeDirectory: "/run/user/7" };
    expect(parseLibvirtUri("qemu:///system", { readOnly: true }).transport).toMatchObject({
      socketPaths: ["/run/libvirt/virtqemud-sock-ro", "/run/libvirt/libvirt-sock-ro"],
    });
    expect(parseLibvirtUri("qemu:///session", options).transport).toMatchObject({
      socketPaths: ["/run/user/7/libvirt/virtqemud-sock", "/run/user/7/libvirt/libvirt-sock"],
    });
  });

  it("finds the session daemons of this user", () => {
    vi.stubEnv("XDG_RUNTIME_DIR", "/somewhere");
    expect(parseLibvirtUri("qemu:///session?mode=legacy").transport).toMatchObject({
      socketPaths: ["/somewhere/libvirt/libvirt-sock"],
    });
    vi.unstubAllEnvs();
  });
});

describe("tls", () => {
  it.each([
    ["qemu://host.example/system", { host: "host.example", port: 16514 }],
    ["qemu+tls://host/system", { host: "host", port: 16514 }],
    ["qemu+tls:///system", { host: "localhost", port: 16514 }],
    ["qemu+tls://[::1]:99/system?no_verify=0", { host: "::1", port: 99 }],
    ["qemu+tls://h/system?pkipath=/a%20b", { host: "h", port: 16514, pkiPath: "/a b" }],
  ])("%s", (uri, transport) => {
    expect(parseLibvirtUri(uri)).toEqual({
      driverUri: "qemu:///system",
      transport: { type: "tls", ...transport },
    });
  });
});

describe("ssh", () => {
  const usual = {
    type: "ssh",
    host: "host",
    verifiesHost: true,
    proxy: "auto",
    netcat: "nc",
    socketPaths: ["/var/run/libvirt/virtqemud-sock", "/var/run/libvirt/libvirt-sock"],
    driverUri: "qemu:///system",
    readOnly: false,
  };

  it.each([
    ["qemu+ssh://host/system", {}],
    ["qemu+ssh:///system", { host: "localhost" }],
    ["qemu+ssh://root@[fe80::1]:2222/system", { host: "fe80::1", user: "root", port: 2222 }],
    ["qemu+ssh://a%40b@host/system", { user: "a@b" }],
    ["qemu+ssh://host/system?keyfile=/k&no_tty=1", { keyFile: "/k" }],
    ["qemu+ssh://host/system?no_verify=1", { verifiesHost: false }],
    ["qemu+ssh://host/system?proxy=native", { proxy: "native" }],
    ["qemu+ssh://host/system?netcat=/opt/nc", { netcat: "/opt/nc" }],
    ["qemu+ssh://host/system?proxy=netcat", { proxy: "netcat" }],
    ["qemu+ssh://host/system?socket=/s", { proxy: "netcat", socketPaths: ["/s"] }],
    [
      "qemu+ssh://host/system?mode=legacy",
      { proxy: "netcat", socketPaths: ["/var/run/libvirt/libvirt-sock"] },
    ],
    ["qemu+ssh://host/session", { driverUri: "qemu:///session", socketPaths: [] }],
  ])("%s", (uri, transport) => {
    const expected = { ...usual, ...transport };
    expect(parseLibvirtUri(uri)).toEqual({ driverUri: expected.driverUri, transport: expected });
  });

  it("takes read-only sockets on the other machine", () => {
    expect(parseLibvirtUri("test+ssh://host/default", { readOnly: true }).transport).toMatchObject({
      readOnly: true,
      socketPaths: ["/var/run/libvirt/libvirt-sock-ro"],
    });
  });

  it("lets nothing through that ssh or a shell could take for something else", () => {
    const characters = Array.from("-a/'\"\\$`;|& \n%{}()<>*?@:#");
    const part = fc.string({ unit: fc.constantFrom(...characters) });
    const template = fc.constantFrom(
      (text: string) => `qemu+ssh://${text}/system`,
      (text: string) => `qemu+ssh://${text}@host/system`,
      (text: string) => `qemu+ssh://${encodeURIComponent(text)}@host/system`,
      (text: string) => `qemu+ssh://host/system?socket=${encodeURIComponent(text)}`,
      (text: string) => `qemu+ssh://host/system?netcat=${encodeURIComponent(text)}`,
      (text: string) => `qemu+ssh://host/system?keyfile=${encodeURIComponent(text)}`,
      (text: string) => `qemu+ssh://host/system?name=${encodeURIComponent(text)}`,
      (text: string) => `qemu+ssh://host/${text}`,
    );
    fc.assert(
      fc.property(template, part, (make, text) => {
        let transport;
        try {
          ({ transport } = parseLibvirtUri(make(text)));
        } catch (error) {
          return isRpcError(error, "RPC_INVALID_URI");
        }
        if (transport.type !== "ssh") throw new Error("expected ssh");
        const { host, user = "a", netcat, keyFile = "", socketPaths, driverUri } = transport;
        expect(host).toMatch(/^[\w][\w.-]*$/);
        expect(user).toMatch(/^[\w][\w.@+-]*$/);
        expect(netcat).toMatch(/^[^-]/);
        for (const value of [netcat, keyFile, driverUri, ...socketPaths]) {
          expect(value).not.toMatch(/['\\\n]/);
        }
        return true;
      }),
      { numRuns: 2000 },
    );
  });
});

describe("refusals", () => {
  it.each([
    ["qemu+tcp://host/system", "tcp"],
    ["qemu+tcp://127.0.0.1/system", "tcp"],
    ["qemu+libssh2://host/system", "libssh2"],
    ["qemu+ext://host/system?command=/bin/x", "ext"],
  ])("names the transport of %s and what is supported", (uri, transport) => {
    const error = failureOf(() => parseLibvirtUri(uri));
    expect(isRpcError(error, "RPC_UNSUPPORTED_TRANSPORT")).toBe(true);
    expect(String(error)).toContain(`"${transport}"`);
    expect(String(error)).toContain('"unix", "tls" and "ssh"');
  });

  it("refuses a host with the unix transport", () => {
    expect(failureOf(() => parseLibvirtUri("qemu+unix://host/system"))).toMatchObject({
      code: "RPC_UNSUPPORTED_TRANSPORT",
    });
  });

  it.each([
    ["", "not a libvirt URI"],
    ["qemu", "not a libvirt URI"],
    ["qemu:system", "not a libvirt URI"],
    ["/run/libvirt/libvirt-sock", "not a libvirt URI"],
    ["QEMU+:///system", "not a libvirt URI"],
    ["qemu:///system?mode=odd", "mode"],
    ["test:///default?mode=direct", "no daemon of its own"],
    ["qemu:///system?socket=%zz", "percent"],
    ["qemu:///system?pkipath=/x", '"pkipath"'],
    ["qemu+tls://host/system?no_verify=1", "no_verify"],
    ["qemu+tls://host/system?no_verify=yes", "no_verify"],
    ["qemu+tls://host/system?NO_VERIFY=1", "no_verify"],
    ["qemu+tls://host/system?tls_priority=NORMAL", '"tls_priority"'],
    ["qemu+tls://user@host/system", "user name"],
    ["qemu+tls://ho$(x)st/system", "host"],
    ["qemu+tls://host:0/system", "port"],
    ["qemu+ssh://-oProxyCommand=x/system", "host"],
    ["qemu+ssh://-x@host/system", "user"],
    ["qemu+ssh://%zz@host/system", "percent"],
    ["qemu+ssh://host/system?command=/bin/x", '"command"'],
    ["qemu+ssh://host/system?proxy=odd", "proxy"],
    ["qemu+ssh://host/system?proxy=native&netcat=nc", "proxy=native"],
    ["qemu+ssh://host/system?proxy=native&socket=/s", "proxy=native"],
    ["qemu+ssh://host/session?proxy=netcat", "session"],
    ["qemu+ssh://host/system?socket=relative", "socket"],
    ["qemu+ssh://host/system?socket=/a%27b", "socket"],
    ["qemu+ssh://host/system?netcat=-x", "netcat"],
    ["qemu+ssh://host/it's", "path"],
  ])("refuses %j", (uri, mentioned) => {
    const error = failureOf(() => parseLibvirtUri(uri));
    expect(error).toMatchObject({ code: "RPC_INVALID_URI" });
    expect(String(error)).toContain(mentioned);
  });

  it("never repeats credentials in an error", () => {
    for (const uri of [
      "qemu+tcp://user:hunter2@host/system",
      "qemu+ssh://user:hunter2@host/system",
      "qemu+tls://user:hunter2@host/system",
      "user:hunter2@host",
      "hunter2:user@host",
    ]) {
      expect(String(failureOf(() => parseLibvirtUri(uri)))).toMatch(/^RpcError: (?!.*hunter2)/);
    }
  });
});
