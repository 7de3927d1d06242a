/**
 * The first process of a host: makes the namespaces' inside, reports `ready PID` (its process id as
 * seen from outside) on standard output, reaps orphans, and ends with everything in its process
 * namespace when its lifetime is over. It then removes the host's directory.
 *
 * Arguments: the host's directory, its name, and `owner` (lives until standard input is closed, which
 * the kernel does when the process that started it dies) or `detached` (lives until SIGTERM).
 */
export const EMBEDDED_HOST_INIT: string = String.raw`set -eu
directory=$1 name=$2 lifetime=$3

finish() {
  trap '' TERM EXIT
  kill -s KILL -- -1 2>/dev/null || true
  rm -rf "$directory"
  exit 0
}
trap finish TERM EXIT

# This is still the outer /proc, so it tells the outer process id.
read -r pid rest </proc/self/stat

mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sysfs /sys

# A device folder without /dev/kvm: a node that exists but cannot be used makes libvirt probe QEMU
# again at every start of a guest.
devices=$directory/dev
mount -t tmpfs -o mode=755 devices "$devices"
mkdir "$devices/net" "$devices/pts" "$devices/shm"
for node in null zero full random urandom tty net/tun vhost-net vhost-vsock; do
  if [ -e "/dev/$node" ]; then cp -a "/dev/$node" "$devices/$node"; fi
done
if [ ! -e "$devices/net/tun" ]; then mknod -m 666 "$devices/net/tun" c 10 200; fi
ln -s pts/ptmx "$devices/ptmx"
ln -s /proc/self/fd "$devices/fd"
ln -s fd/0 "$devices/stdin"
ln -s fd/1 "$devices/stdout"
ln -s fd/2 "$devices/stderr"
mount -t devpts -o newinstance,gid=5,mode=620,ptmxmode=666 devpts "$devices/pts"
mount -t tmpfs -o mode=1777 shm "$devices/shm"
mount --move "$devices" /dev

# The whole of /run, so that no D-Bus service of the machine (machined, firewalld) is found.
mount --bind "$directory/run" /run
mount --bind "$directory/hosts" /etc/hosts
mount --bind "$directory/etc" /etc/libvirt
for folder in lib cache log; do
  mount --bind "$directory/$folder" "/var/$folder/libvirt"
done

echo "$name" >/proc/sys/kernel/hostname
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward

exec 3<&0 </dev/null
echo "ready $pid"
exec >/dev/null 2>&1

if [ "$lifetime" = owner ]; then
  cat <&3 &
else
  sleep infinity &
fi
exec 3<&-
# While it waits, the shell reaps every orphan of the namespace, whichever it is.
wait $! || true
`;
