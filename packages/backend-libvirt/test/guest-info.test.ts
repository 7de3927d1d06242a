import { describe, expect, it } from "vitest";
import { agentVersion, readGuestInfo } from "../src/guest/guest-info.ts";

const answer = (commands: readonly string[], version: unknown = "7.2.22"): string =>
  JSON.stringify({
    return: { version, supported_commands: commands.map((name) => ({ name, enabled: true })) },
  });
const needed = ["guest-sync-delimited", "guest-fsfreeze-freeze", "guest-fsfreeze-thaw"];

describe("the version of an agent", () => {
  it("is told, and whether it can do what is needed", () => {
    expect(agentVersion(answer(needed))).toEqual({ version: "7.2.22", supported: true });
    expect(agentVersion(answer(needed.slice(1)))).toEqual({ version: "7.2.22", supported: false });
  });

  it.each([
    undefined,
    "",
    "{",
    "null",
    "[]",
    '{"return":5}',
    '{"return":{"supported_commands":{}}}',
    answer([], 7),
  ])("is none when the guest answers %s", (text) => {
    expect(agentVersion(text)).toEqual({ version: "", supported: false });
  });
});

it("reads what libvirt was told about a guest", () => {
  const string = (field: string, value: string) => ({ field, type: "string", value }) as const;
  expect(
    readGuestInfo([
      string("os.name", "Debian GNU/Linux"),
      string("os.version", "12 (bookworm)"),
      string("os.kernel-release", "6.1.0"),
      string("hostname", "web"),
      { field: "if.count", type: "uint", value: 2 },
      string("if.0.name", "lo"),
      string("if.0.addr.0.addr", "127.0.0.1"),
      string("if.0.addr.1.addr", "10.9.9.9"),
      string("if.1.name", "eth0"),
      string("if.1.addr.0.addr", "10.66.10.2"),
      string("if.1.addr.1.addr", "fe80::1"),
    ]),
  ).toEqual({
    osName: "Debian GNU/Linux",
    osVersion: "12 (bookworm)",
    kernelRelease: "6.1.0",
    hostName: "web",
    addresses: ["10.66.10.2", "fe80::1"],
  });
  expect(readGuestInfo([])).toEqual({ addresses: [] });
});
