/** A guest of a test: where its files are and how it is attached. */
export interface GuestDomain {
  readonly name: string;
  /** The bus of both disks. */
  readonly bus: "scsi" | "virtio";
  readonly disk: string;
  /** Image of the seed: a CD-ROM on scsi, a disk on virtio, which has none. */
  readonly seed: string | undefined;
  readonly network: string;
  readonly mac: string;
  /** Everything that the guest writes on its first serial port, over all its starts. */
  readonly serialLog: string;
  /** A socket at which the first serial port can be read and written. */
  readonly serialSocket: string;
}

/** Domain XML (libvirt, "Domain XML format") of a guest without KVM. */
export function guestDomainXml(guest: GuestDomain): string {
  const { bus } = guest;
  const [disk, seedDisk] = bus === "scsi" ? ["sda", "sdb"] : ["vda", "vdb"];
  const seed =
    guest.seed === undefined
      ? ""
      : `<disk type='file' device='${bus === "scsi" ? "cdrom" : "disk"}'>
        <driver name='qemu' type='raw'/>
        <source file='${guest.seed}'/>
        <target dev='${seedDisk}' bus='${bus}'/>
        <readonly/>
      </disk>`;
  return `<domain type='qemu'>
    <name>${guest.name}</name>
    <memory unit='MiB'>256</memory>
    <vcpu>1</vcpu>
    <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>
    <features><acpi/></features>
    <on_reboot>restart</on_reboot>
    <devices>
      <emulator>/usr/bin/qemu-system-x86_64</emulator>
      <controller type='scsi' model='virtio-scsi'/>
      <disk type='file' device='disk'>
        <driver name='qemu' type='qcow2'/>
        <source file='${guest.disk}'/>
        <target dev='${disk}' bus='${bus}'/>
      </disk>
      ${seed}
      <interface type='network'>
        <source network='${guest.network}'/>
        <mac address='${guest.mac}'/>
        <model type='virtio'/>
      </interface>
      <serial type='unix'>
        <source mode='bind' path='${guest.serialSocket}'/>
        <log file='${guest.serialLog}' append='on'/>
        <target port='0'/>
      </serial>
      <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
      <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
      <video><model type='none'/></video>
    </devices>
  </domain>`;
}

/**
 * Network XML (libvirt, "Network XML format") of a NAT network with one reserved address. Without STP, which
 * would hold back a guest's first packets for four seconds.
 */
export function natNetworkXml(network: {
  readonly name: string;
  readonly bridge: string;
  readonly mac: string;
  readonly address: string;
}): string {
  return `<network>
    <name>${network.name}</name>
    <forward mode='nat'/>
    <bridge name='${network.bridge}' stp='off'/>
    <ip address='10.66.10.1' netmask='255.255.255.0'>
      <dhcp>
        <range start='10.66.10.100' end='10.66.10.200'/>
        <host mac='${network.mac}' ip='${network.address}'/>
      </dhcp>
    </ip>
  </network>`;
}
