import { BlockList, isIP } from "node:net";
import { ImageError } from "../image-error.ts";

const NOT_PUBLIC_4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];

// Only 2000::/3 is handed out; inside it, tunnels can carry any IPv4 address.
const NOT_PUBLIC_6: readonly (readonly [string, number])[] = [
  ["::", 3],
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
  ["4000::", 2],
  ["8000::", 1],
];

const notPublic4 = blockList(NOT_PUBLIC_4, "ipv4");
const notPublic6 = blockList(NOT_PUBLIC_6, "ipv6");

/** Says whether an IP address is on the public Internet. */
export type AddressClassifier = (address: string) => boolean;

/**
 * Whether `address` can be reached by everyone: neither loopback, link-local, private, shared,
 * multicast, documentation nor a tunnel that may lead to one of these.
 *
 * @see IANA IPv4 and IPv6 Special-Purpose Address Registries
 */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !notPublic4.check(address, "ipv4");
    case 6:
      return !notPublic6.check(address, "ipv6");
    default:
      return false;
  }
}

/** Decides for every connection whether its address may be used. */
export class AddressPolicy {
  readonly #publicOnly: boolean;
  readonly #startHost: string;
  readonly #isPublic: AddressClassifier;
  #startIsPublic = false;

  /**
   * @param startHost - Where the first request goes, as in its URL.
   * @param publicOnly - Whether that host, too, must have a public address.
   */
  constructor(startHost: string, publicOnly: boolean, isPublic: AddressClassifier) {
    this.#startHost = startHost;
    this.#publicOnly = publicOnly;
    this.#isPublic = isPublic;
  }

  /**
   * Judges the addresses that `host` has just been resolved to. All of them count, so that a name
   * cannot smuggle in a private address behind a public one, nor turn to a private one later.
   *
   * @throws ImageError `IMAGE_FORBIDDEN_ADDRESS`.
   */
  check(host: string, addresses: readonly string[]): void {
    const isPublic = addresses.every((address) => this.#isPublic(address));
    if (!isPublic && (this.#publicOnly || this.#startIsPublic)) {
      throw new ImageError(
        "IMAGE_FORBIDDEN_ADDRESS",
        `"${host}" has an address that is not public; images are not fetched from there`,
      );
    }
    if (isPublic && host === this.#startHost) this.#startIsPublic = true;
  }
}

function blockList(
  subnets: readonly (readonly [string, number])[],
  family: "ipv4" | "ipv6",
): BlockList {
  const list = new BlockList();
  for (const [address, prefix] of subnets) list.addSubnet(address, prefix, family);
  return list;
}
