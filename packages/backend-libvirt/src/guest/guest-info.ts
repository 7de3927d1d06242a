import type { GuestAgentInfo } from "@polyvisor/core";
import type { TypedParameter } from "../rpc/typed-parameter.ts";

/** Commands without which this backend cannot do what it says. Source: QEMU Guest Agent Protocol Reference. */
const NEEDED = ["guest-sync-delimited", "guest-fsfreeze-freeze", "guest-fsfreeze-thaw"];

/** The answer to `guest-info`; what comes from a guest may be anything. */
export function agentVersion(
  answer: string | undefined,
): Pick<GuestAgentInfo, "version" | "supported"> {
  const info = memberOf(parse(answer), "return");
  const version = memberOf(info, "version");
  const commands = memberOf(info, "supported_commands");
  const enabled = (Array.isArray(commands) ? commands : [])
    .filter((command: unknown) => memberOf(command, "enabled") === true)
    .map((command: unknown) => memberOf(command, "name"));
  return {
    version: typeof version === "string" ? version : "",
    supported: NEEDED.every((name) => enabled.includes(name)),
  };
}

/** What libvirt has asked the agent for. Source: libvirt, `virDomainGetGuestInfo`. */
export function readGuestInfo(
  parameters: readonly TypedParameter[],
): Omit<GuestAgentInfo, "version" | "supported"> {
  const values = new Map(parameters.map(({ field, value }) => [field, value]));
  const text = (field: string): string | undefined => {
    const value = values.get(field);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const osName = text("os.pretty-name") ?? text("os.name") ?? text("os.id");
  const osVersion = text("os.version") ?? text("os.version-id");
  const kernelRelease = text("os.kernel-release");
  const hostName = text("hostname");
  return {
    ...(osName !== undefined && { osName }),
    ...(osVersion !== undefined && { osVersion }),
    ...(kernelRelease !== undefined && { kernelRelease }),
    ...(hostName !== undefined && { hostName }),
    addresses: parameters
      .filter(({ field }) => /^if\.\d+\.addr\.\d+\.addr$/.test(field))
      .filter(({ field }) => text(field.replace(/\.addr\..*$/, ".name")) !== "lo")
      .flatMap(({ value }) => (typeof value === "string" && !isLoopback(value) ? value : [])),
  };
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
