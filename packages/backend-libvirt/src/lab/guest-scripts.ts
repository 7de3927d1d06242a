import { GUEST_CLOUD_CONFIG_AWK } from "./guest-cloud-config.ts";

// Fits no password. Busybox takes it for a salt, and ends login with "bad salt" for the usual "*".
const NO_PASSWORD = "NP";

const INITTAB = `::sysinit:/etc/boot
ttyS0::respawn:/bin/getty -L 115200 ttyS0 vt100
tty1::respawn:/bin/getty 38400 tty1 linux
::ctrlaltdel:/sbin/shutdown -r
`;

// Everything up to the line with the address comes before the first login prompt, as init starts the
// consoles when this script has ended. Without KVM, every program costs milliseconds: hence the built-in
// commands of the shell wherever there is one.
const BOOT = String.raw`#!/bin/sh
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /dev/virtio-ports
mount -t devpts devpts /dev/pts
read -r modules </etc/modules
modprobe -a $modules

. /etc/seed

acpid -c /etc/acpi -l /dev/null -p /run/acpid.pid
cd /sys/class/virtio-ports
for port in *; do
  read -r port_name 2>/dev/null <"$port/name" || continue
  ln -s "../$port" "/dev/virtio-ports/$port_name"
done

ip link set lo up
cd /sys/class/net
for nic in *; do
  if [ "$nic" = lo ]; then continue; fi
  ip link set "$nic" up
  udhcpc -i "$nic" -b -t 8 -T 1 -A 5 -s /etc/lease -p /run/udhcpc.pid -x "hostname:$name" >/dev/null 2>&1
  break
done
cd /
# After the address, so that whoever waits for the agent can ask it for that.
if [ -e /dev/virtio-ports/org.qemu.guest_agent.0 ]; then
  qemu-ga --daemonize --path /dev/virtio-ports/org.qemu.guest_agent.0 --statedir /run --pidfile /run/qemu-ga.pid
fi
if [ -s /run/cloud-config ]; then /etc/run-commands; fi
exit 0
`;

// The address is remembered, as a renewal must not print it again.
const LEASE = String.raw`#!/bin/sh
export PATH=/bin:/sbin
old=
if [ -e /run/address ]; then read -r old </run/address; fi
forget() {
  if [ -n "$old" ]; then ip address flush dev "$interface"; rm /run/address; fi
}
case $1 in
  deconfig) forget ;;
  bound | renew)
    if [ "$old" = "$ip/$mask" ]; then exit 0; fi
    forget
    ip address add "$ip/$mask" broadcast + dev "$interface"
    echo "$ip/$mask" >/run/address
    for gateway in $router; do ip route add default via "$gateway" dev "$interface"; break; done
    : >/etc/resolv.conf
    if [ -n "$domain" ]; then echo "search $domain" >>/etc/resolv.conf; fi
    for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
    read -r name </etc/hostname
    echo "$name $ip" >/dev/console
    ;;
esac
`;

// NoCloud (cloud-init, "NoCloud"): a file system labelled cidata with meta-data and user-data. The boot
// script reads this one in, and goes on with its $name.
const SEED = String.raw`: >/run/meta-data
: >/run/cloud-config
# Loading modules has waited for their disks; this is for those that are slow to answer.
for attempt in 0 1 2 3 4 5 6 7 8 9; do
  device=$(findfs LABEL=cidata 2>/dev/null || findfs LABEL=CIDATA 2>/dev/null)
  if [ -n "$device" ]; then break; fi
  usleep 30000
done
mount_seed() {
  mount -t iso9660 -o ro "$device" /run/seed 2>/dev/null && return
  modprobe -a vfat nls_cp437 nls_ascii
  mount -t vfat -o ro "$device" /run/seed
}
if [ -n "$device" ] && mount_seed; then
  awk -f /etc/cloud-config.awk /run/seed/meta-data >/run/meta-data
  kind=
  read -r kind 2>/dev/null </run/seed/user-data
  case $kind in
    '#cloud-config'*) awk -f /etc/cloud-config.awk /run/seed/user-data >/run/cloud-config ;;
  esac
  umount /run/seed
fi

# First the host name, then number, name and password of each user.
awk -F '\t' '
BEGIN { last = -1 }
$1 == "local-hostname" && FILENAME == "/run/meta-data" { name = $2 }
FILENAME == "/run/meta-data" { next }
$1 == "hostname" { name = $2 }
$1 ~ /^users\/[0-9]+\// { split($1, part, "/"); last = part[2]; value[last, part[3]] = $2 }
END {
  print name !~ /^[A-Za-z0-9.-]+$/ ? "guest" : name
  for (number = 0; number <= last; number++) {
    user = value[number, "name"]
    hash = value[number, "passwd"]
    if (hash == "") hash = value[number, "hashed_passwd"]
    if (tolower(value[number, "lock_passwd"]) == "true" || hash == "") hash = "${NO_PASSWORD}"
    if (user ~ /^[a-z0-9_-]+$/ && hash !~ /[: |&\\]/) print 1000 + number, user, hash
  }
}' /run/meta-data /run/cloud-config >/run/identity
{
  read -r name
  echo "$name" >/etc/hostname
  echo "$name" >/proc/sys/kernel/hostname
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >/etc/hosts
  known=' root '
  while read -r id user hash; do
    case $known in
      *" $user "*) if [ "$hash" != ${NO_PASSWORD} ]; then sed -i "s|^$user:[^:]*|$user:$hash|" /etc/shadow; fi ;;
      *)
        known="$known$user "
        echo "$user:x:$id:$id:$user:/home/$user:/bin/sh" >>/etc/passwd
        echo "$user:x:$id:" >>/etc/group
        echo "$user:$hash:0:0:99999:7:::" >>/etc/shadow
        mkdir -p "/home/$user"
        chown "$id:$id" "/home/$user"
        ;;
    esac
  done
} </run/identity
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
export const GUEST_KERNEL_COMMAND_LINE: string = [
  "console=tty0 console=ttyS0,115200 quiet panic=5",
  // Without KVM, the kernel's own tests, hardening and waiting take a third of its start.
  "mitigations=off nokaslr init_on_alloc=0 lsm= audit=0 cryptomgr.notests",
  "noreplace-smp tsc=reliable no_timer_check rcupdate.rcu_expedited=1",
].join(" ");

/** Kernel modules that the guest loads at boot, without those that they depend on. */
export const GUEST_BOOT_MODULES: readonly string[] = [
  "virtio_pci",
  "virtio_blk",
  "virtio_scsi",
  "sd_mod",
  "sr_mod",
  "isofs",
  "virtio_net",
  "virtio_console",
  "virtio_balloon",
  "virtio-rng",
  "evdev",
  "button",
];

/** Kernel modules that the guest has for a seed on a disk, without those that they depend on. */
export const GUEST_SEED_MODULES: readonly string[] = ["vfat", "nls_cp437", "nls_ascii"];
