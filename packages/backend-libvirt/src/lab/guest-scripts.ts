import { GUEST_CLOUD_CONFIG_AWK } from "./guest-cloud-config.ts";

// Fits no password. Busybox takes it for a salt, and ends login with "bad salt" for the usual "*".
const NO_PASSWORD = "NP";

const INITTAB = `::sysinit:/etc/boot
ttyS0::respawn:/bin/getty -L 115200 ttyS0 vt100
tty1::respawn:/bin/getty 38400 tty1 linux
::ctrlaltdel:/sbin/shutdown -r
`;

// Everything up to the line with the address comes before the first login prompt, as init starts the
// consoles when this script has ended.
const BOOT = String.raw`#!/bin/sh
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /dev/virtio-ports
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
while read -r module; do insmod "/lib/modules/$module"; done </etc/modules

/etc/seed
hostname -F /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$(hostname)" >/etc/hosts

mkdir -p /run/acpid
acpid -c /etc/acpi -l /dev/null -p /run/acpid.pid
for port in /sys/class/virtio-ports/*; do
  read -r name 2>/dev/null <"$port/name" || continue
  ln -s "../$(basename "$port")" "/dev/virtio-ports/$name"
done
if [ -e /dev/virtio-ports/org.qemu.guest_agent.0 ]; then
  qemu-ga --daemonize --path /dev/virtio-ports/org.qemu.guest_agent.0 --statedir /run --pidfile /run/qemu-ga.pid
fi

ip link set lo up
nic=$(ls /sys/class/net | grep -v '^lo$' | head -n 1)
if [ -n "$nic" ]; then
  ip link set "$nic" up
  udhcpc -i "$nic" -b -t 8 -T 1 -A 5 -s /etc/lease -p /run/udhcpc.pid -x "hostname:$(hostname)" >/dev/null 2>&1
fi
[ -s /run/cloud-config ] && /etc/run-commands
exit 0
`;

const LEASE = String.raw`#!/bin/sh
export PATH=/bin:/sbin
case $1 in
  deconfig) ip address flush dev "$interface" ;;
  bound | renew)
    ip address show dev "$interface" | grep -qF " $ip/" && exit 0
    ip address flush dev "$interface"
    ip address add "$ip/$mask" broadcast + dev "$interface"
    for gateway in $router; do ip route add default via "$gateway" dev "$interface"; break; done
    : >/etc/resolv.conf
    if [ -n "$domain" ]; then echo "search $domain" >>/etc/resolv.conf; fi
    for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
    echo "$(hostname) $ip" >/dev/console
    ;;
esac
`;

// NoCloud (cloud-init, "NoCloud"): a file system labelled cidata with meta-data and user-data.
const SEED = String.raw`#!/bin/sh
export PATH=/bin:/sbin
mkdir -p /run/seed
touch /run/meta-data /run/cloud-config
attempt=0
# Buses are scanned in the background; a guest without a seed waits this long.
while [ "$attempt" -lt 20 ]; do
  device=$(findfs LABEL=cidata 2>/dev/null || findfs LABEL=CIDATA 2>/dev/null)
  if [ -n "$device" ]; then break; fi
  attempt=$((attempt + 1))
  usleep 100000
done
if [ -n "$device" ] && mount -o ro "$device" /run/seed; then
  awk -f /etc/cloud-config.awk /run/seed/meta-data >/run/meta-data
  if head -n 1 /run/seed/user-data | grep -q '^#cloud-config'; then
    awk -f /etc/cloud-config.awk /run/seed/user-data >/run/cloud-config
  fi
  umount /run/seed
fi

value() { awk -F '\t' -v path="$2" '$1 == path { print $2; exit }' "$1"; }
config() { printf '%b' "$(value /run/cloud-config "$1")"; }

name=$(config hostname)
if [ -z "$name" ]; then name=$(value /run/meta-data local-hostname); fi
case $name in '' | *[!A-Za-z0-9.-]*) name=guest ;; esac
echo "$name" >/etc/hostname

set_password() {
  awk -F : -v OFS=: -v name="$1" -v hash="$2" '$1 == name { $2 = hash } { print }' /etc/shadow >/run/shadow
  cat /run/shadow >/etc/shadow
  rm /run/shadow
}

number=0
while grep -q "^users/$number[/	]" /run/cloud-config; do
  user=$(config "users/$number/name")
  hash=$(config "users/$number/passwd")
  if [ -z "$hash" ]; then hash=$(config "users/$number/hashed_passwd"); fi
  locked=$(config "users/$number/lock_passwd")
  id=$((1000 + number))
  number=$((number + 1))
  case $user in '' | *[!a-z0-9_-]*) continue ;; esac
  case $hash in *:*) continue ;; esac
  if ! grep -q "^$user:" /etc/passwd; then
    echo "$user:x:$id:$id:$user:/home/$user:/bin/sh" >>/etc/passwd
    echo "$user:x:$id:" >>/etc/group
    echo "$user:${NO_PASSWORD}:0:0:99999:7:::" >>/etc/shadow
    mkdir -p "/home/$user"
    chown "$id:$id" "/home/$user"
  fi
  case $locked in true | True | TRUE) continue ;; esac
  if [ -n "$hash" ]; then set_password "$user" "$hash"; fi
done
`;

const RUN_COMMANDS = String.raw`#!/bin/sh
export PATH=/bin:/sbin
config() { printf '%b' "$(awk -F '\t' -v path="$1" '$1 == path { print $2; exit }' /run/cloud-config)"; }
has() { grep -q "^$1	" /run/cloud-config; }
number=0
while grep -q "^runcmd/$number[/	]" /run/cloud-config; do
  if has "runcmd/$number"; then
    sh -c "$(config "runcmd/$number")"
  else
    set --
    while has "runcmd/$number/$#"; do set -- "$@" "$(config "runcmd/$number/$#")"; done
    "$@"
  fi
  number=$((number + 1))
done </dev/null >/run/run-commands.log 2>&1
`;

// All state is in memory, so there is nothing to stop first. The options are those with which the
// guest agent calls shutdown(8).
const SHUTDOWN = String.raw`#!/bin/sh
export PATH=/bin:/sbin
action=poweroff
for option in "$@"; do
  case $option in
    -r) action=reboot ;;
    -H) action=halt ;;
  esac
done
sync
exec $action -f
`;

const OS_RELEASE = `ID=polyvisor-guest
NAME="Polyvisor guest"
PRETTY_NAME="Polyvisor guest (Linux with busybox)"
`;

/** A text file of the guest, by path without a leading slash. */
export interface GuestFile {
  readonly path: string;
  readonly mode: number;
  readonly text: string;
}

/** The scripts and settings of the guest; everything in it that comes from no package. */
export const GUEST_FILES: readonly GuestFile[] = [
  { path: "etc/inittab", mode: 0o644, text: INITTAB },
  { path: "etc/boot", mode: 0o755, text: BOOT },
  { path: "etc/seed", mode: 0o755, text: SEED },
  { path: "etc/lease", mode: 0o755, text: LEASE },
  { path: "etc/run-commands", mode: 0o755, text: RUN_COMMANDS },
  { path: "etc/cloud-config.awk", mode: 0o644, text: GUEST_CLOUD_CONFIG_AWK },
  { path: "etc/acpi/PWRF/00000080", mode: 0o755, text: "#!/bin/sh\nexec /sbin/shutdown -P\n" },
  { path: "sbin/shutdown", mode: 0o755, text: SHUTDOWN },
  { path: "etc/os-release", mode: 0o644, text: OS_RELEASE },
  { path: "etc/issue", mode: 0o644, text: "Polyvisor guest \\l\n" },
  { path: "etc/passwd", mode: 0o644, text: "root:x:0:0:root:/root:/bin/sh\n" },
  { path: "etc/group", mode: 0o644, text: "root:x:0:\ntty:x:5:\n" },
  { path: "etc/shadow", mode: 0o600, text: `root:${NO_PASSWORD}:0:0:99999:7:::\n` },
  { path: "etc/profile", mode: 0o644, text: "export PATH=/bin:/sbin\n" },
];

/** The kernel's command line; the last console is the one that programs write to. */
export const GUEST_KERNEL_COMMAND_LINE =
  "console=tty0 console=ttyS0,115200 quiet panic=5 mitigations=off";

/** Kernel modules that the guest loads at boot, without those that they depend on. */
export const GUEST_KERNEL_MODULES: readonly string[] = [
  "virtio_pci",
  "virtio_blk",
  "virtio_scsi",
  "sd_mod",
  "sr_mod",
  "isofs",
  "vfat",
  "nls_cp437",
  "nls_ascii",
  "virtio_net",
  "virtio_console",
  "virtio_balloon",
  "virtio-rng",
  "evdev",
  "button",
];
