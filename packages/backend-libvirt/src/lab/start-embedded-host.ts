import { rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { requireDebianPackages, type DebianPackageRequirement } from "./debian-packages.ts";
import type { EmbeddedHost, EmbeddedHostOptions } from "./embedded-host.ts";
import type { HostLink } from "./host-link.ts";
import { createHostDirectory } from "./embedded-host-directory.ts";
import { startHostNamespaces } from "./embedded-host-namespaces.ts";
import { LabError } from "./lab-error.ts";
import { RunningHost } from "./running-host.ts";

const PACKAGES: readonly DebianPackageRequirement[] = [
  { package: "libvirt-daemon-system", command: "/usr/sbin/libvirtd" },
  {
    package: "libvirt-daemon-driver-qemu",
    command: "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so",
  },
  { package: "libvirt-clients", command: "virsh" },
  { package: "qemu-system-x86", command: "qemu-system-x86_64" },
  { package: "qemu-utils", command: "qemu-img" },
  { package: "dnsmasq-base", command: "dnsmasq" },
  { package: "iptables", command: "iptables" },
  { package: "iproute2", command: "ip" },
];

const DEFAULT_TIMEOUT_MILLISECONDS = 60_000;

/**
 * Starts a private libvirt daemon in network, mount, UTS and process namespaces of its own.
 *
 * Several hosts live side by side, and beside a libvirt of the machine, without seeing one another.
 * Guests run without KVM. Unless `detached`, everything ends with this process, however it ends.
 *
 * @throws LabError `LAB_ROOT_REQUIRED`, `LAB_UNSUPPORTED`, `LAB_INVALID`, `LAB_PACKAGES_MISSING`,
 * `LAB_COMMAND_FAILED`, `LAB_HOST_START_FAILED` or `LAB_TIMEOUT`; nothing is left of the host then.
 */
export function startEmbeddedHost(options: EmbeddedHostOptions = {}): Promise<EmbeddedHost> {
  return startHost(options, undefined);
}

/** Starts a host, joined to the network of a lab. Errors as for {@link startEmbeddedHost}. */
export async function startHost(
  options: EmbeddedHostOptions,
  link: HostLink | undefined,
): Promise<EmbeddedHost> {
  const { signal, onProgress, install, detached = false } = options;
  const name = options.name ?? `host-${randomBytes(4).toString("hex")}`;
  checkMachine();
  checkHostName(name);
  signal?.throwIfAborted();
  await requireDebianPackages(PACKAGES, { signal, onProgress, install });
  const bound = startBound(
    name,
    options.timeoutMilliseconds ?? DEFAULT_TIMEOUT_MILLISECONDS,
    signal,
  );
  onProgress?.(`Starting host ${name}`);
  const directory = await createHostDirectory(name, options.directory, link);
  let host: RunningHost | undefined;
  try {
    const namespaces = await startHostNamespaces({
      directory,
      name,
      detached,
      signal: bound.signal,
    });
    host = new RunningHost(name, directory, namespaces, link);
    await host.start(bound.signal);
    return host;
  } catch (error) {
    await host?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
    throw error;
  } finally {
    bound[Symbol.dispose]();
  }
}

function checkMachine(): void {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new LabError(
      "LAB_UNSUPPORTED",
      `An embedded host needs Linux on amd64; this is ${process.platform} on ${process.arch}.`,
    );
  }
  if (process.getuid?.() !== 0) {
    throw new LabError(
      "LAB_ROOT_REQUIRED",
      "An embedded host needs root for its namespaces: start the program with sudo, or in a privileged container.",
    );
  }
}

function checkHostName(name: string): void {
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(name)) {
    throw new LabError(
      "LAB_INVALID",
      `"${name}" is no host name: use up to 63 letters, digits and inner hyphens.`,
    );
  }
}

function startBound(
  name: string,
  milliseconds: number,
  outer: AbortSignal | undefined,
): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(
      new LabError("LAB_TIMEOUT", `Host ${name} did not start within ${milliseconds} ms.`),
    );
  }, milliseconds);
  return {
    signal: outer === undefined ? controller.signal : AbortSignal.any([outer, controller.signal]),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
