import { EMBEDDED_HOST_INIT } from "./embedded-host-init.ts";

/** The files of one host: its init script, /etc/libvirt and /etc/hosts, by path below the host's directory. */
export function embeddedHostFiles(host: {
  readonly name: string;
  readonly uuid: string;
}): ReadonlyMap<string, string> {
  return new Map([
    [INIT_FILE, EMBEDDED_HOST_INIT],
    ["etc/libvirtd.conf", configuration({ ...DAEMON_SETTINGS, host_uuid: host.uuid })],
    ["etc/qemu.conf", configuration(QEMU_SETTINGS)],
    // getaddrinfo() of the host's own name must answer at once: there is no name server to ask.
    ["hosts", `127.0.0.1 localhost\n127.0.1.1 ${host.name}\n::1 localhost ip6-localhost\n`],
  ]);
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
