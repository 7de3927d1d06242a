import { buildGuestImage, type LabHost } from "@polyvisor/backend-libvirt/lab";
import { type GuestSpec, macAddressOf, type Storage } from "@polyvisor/core";

const SIZE_BYTES = 64 * 2 ** 20;

/** Prints a number every second, and changes memory all the time, so that a migration has something to do. */
const USER_DATA = `#cloud-config
runcmd:
- |
  sh -c 'n=0; while :; do n=$((n+1)); echo "tick $n" > /dev/ttyS0; sleep 1; done' &
  sh -c 'while :; do head -c 2000000 /dev/urandom > /run/load; sleep 0.2; done' &
`;

/** A guest with a disk that both hosts see, ready to be started on `host`. */
export async function makeGuest(
  storage: Storage,
  host: LabHost,
  signal: AbortSignal,
): Promise<GuestSpec> {
  const { path: image } = await buildGuestImage({ signal });
  const use = { accessMode: "ReadWriteMany", volumeMode: "Filesystem" } as const;
  const name = "vd-traveller";
  await storage.createVolume({ name, storageClass: "shared", sizeBytes: SIZE_BYTES, use }, signal);
  const source = await storage.attach(name, host.name, signal);
  if (source.type !== "file") throw new Error("the volume is no file");
  const convert = ["convert", "-n", "-f", "qcow2", "-O", "raw", image, source.path];
  const { exitCode, stderr } = await host.run("qemu-img", convert, { signal });
  if (exitCode !== 0) throw new Error(stderr);
  const address = "10.66.10.2";
  return {
    uid: crypto.randomUUID(),
    incarnation: 1,
    namespace: "default",
    name: "traveller",
    machine: { osType: "generic", firmware: "bios", paravirtualized: true, tpm: false },
    cpu: { sockets: 1, coresPerSocket: 1, fractionPercent: 100, model: { mode: "host-model" } },
    memoryBytes: 256 * 2 ** 20,
    disks: [{ name, serial: "traveller", source, device: "disk", readOnly: false, bootOrder: 1 }],
    interfaces: [
      { cidr: "10.66.10.0/24", gateway: "10.66.10.1", mac: macAddressOf(address), address },
    ],
    cloudInit: { userData: USER_DATA, metaData: "instance-id: traveller\n" },
  };
}
