import { EMBEDDED_HOST_INIT } from "./embedded-host-init.ts";
import type { HostLink } from "./host-link.ts";

/** The files of one host: its init script, /etc/libvirt and /etc/hosts, by path below the host's directory. */
export function embeddedHostFiles(host: {
  readonly name: string;
  readonly uuid: string;
  readonly link: HostLink | undefined;
}): ReadonlyMap<string, string> {
  const { link } = host;
  const daemon = { ...DAEMON_SETTINGS, ...(link && networkedDaemonSettings(link)) };
  const qemu = { ...QEMU_SETTINGS, ...(link && networkedQemuSettings(link)) };
  return new Map([
    [INIT_FILE, EMBEDDED_HOST_INIT],
    ["etc/libvirtd.conf", configuration({ ...daemon, host_uuid: host.uuid })],
    ["etc/qemu.conf", configuration(qemu)],
    // getaddrinfo() of the names must answer at once: there is no name server to ask.
    ["hosts", hostsFile(host.name, link)],
    ...(link === undefined
      ? []
      : [
          [
            "etc/qemu-lockd.conf",
            configuration({
              auto_disk_leases: 1,
              require_lease_for_disks: 1,
              file_lockspace_dir: link.lockDirectory,
            }),
          ] as const,
        ]),
  ]);
}

function hostsFile(name: string, link: HostLink | undefined): string {
  const own = link === undefined ? [`127.0.1.1 ${name}`] : [];
  const others = Object.entries(link?.names ?? {}).map(([other, address]) => `${address} ${other}`);
  const lines = ["127.0.0.1 localhost", ...own, "::1 localhost ip6-localhost", ...others];
  return lines.map((line) => `${line}\n`).join("");
}

/** Plain TCP without authentication: only the hosts of the lab are on its network. */
function networkedDaemonSettings(link: HostLink): Record<string, Setting> {
  return {
    listen_tls: 0,
    listen_tcp: 1,
    listen_addr: link.address,
    auth_tcp: "none",
    // A host that is cut off is noticed by its peers after 2 × (3 + 1) seconds.
    keepalive_interval: 2,
    keepalive_count: 3,
  };
}

function networkedQemuSettings(link: HostLink): Record<string, Setting> {
  return {
    migration_address: link.address,
    migration_host: link.address,
    keepalive_interval: 2,
    keepalive_count: 3,
    lock_manager: "lockd",
  };
}

/** Path of the init script below the host's directory. */
export const INIT_FILE = "init.sh";

/** Path of the daemon's log below the host's directory. */
export const DAEMON_LOG = "log/libvirtd.log";

type Setting = string | number | readonly string[];

const DAEMON_SETTINGS = {
  auth_unix_ro: "none",
  auth_unix_rw: "none",
  // The host's directory belongs to root alone, and there is no polkit in here to ask.
  unix_sock_ro_perms: "0700",
  unix_sock_rw_perms: "0700",
  log_outputs: "3:file:/var/log/libvirt/libvirtd.log",
} satisfies Record<string, Setting>;

const QEMU_SETTINGS = {
  user: "root",
  group: "root",
  // Owners and extended attributes of images that outlive the host (a cached base image) stay untouched.
  dynamic_ownership: 0,
  remember_owner: 0,
  security_driver: "none",
  cgroup_controllers: [],
  namespaces: [],
  stdio_handler: "file",
} satisfies Record<string, Setting>;

function configuration(settings: Readonly<Record<string, Setting>>): string {
  const lines = Object.entries(settings).map(
    ([key, value]) => `${key} = ${JSON.stringify(value)}\n`,
  );
  return lines.join("");
}
