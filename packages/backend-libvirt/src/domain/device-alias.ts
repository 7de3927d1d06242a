const PREFIX = "ua-";

/**
 * The alias of a disk, by which it is known in events and in the XML for as long as the guest runs. Source: libvirt,
 * "Domain XML format", `<alias>`: aliases of users begin with `ua-` and have letters, digits, `-` and `_`.
 */
export function diskAlias(name: string): string {
  // Names of resources have dots and no underscores.
  return `${PREFIX}${name.replaceAll(".", "_")}`;
}

/** The name of the disk with this alias; `undefined` for devices that are not disks of ours. */
export function diskNameOf(alias: string): string | undefined {
  if (!alias.startsWith(PREFIX)) return undefined;
  return alias.slice(PREFIX.length).replaceAll("_", ".");
}

/** The alias of a network card. */
export function interfaceAlias(mac: string): string {
  return `${PREFIX}net-${mac.replaceAll(":", "")}`;
}
