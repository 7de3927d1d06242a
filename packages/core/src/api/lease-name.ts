import { formatAddress, parseAddress } from "../util/ip-address.ts";

/**
 * `ip-10-66-10-14` for `10.66.10.14` (source: DVP, names of leases); of IPv6 all eight groups without leading zeros, so
 * that each address has one name and the name is one that Kubernetes allows: `ip-fd00-66-10-0-0-0-0-2`.
 */
export function leaseName(address: string): string {
  const found = parseAddress(address);
  if (found?.family !== 6) return `ip-${address.replaceAll(".", "-")}`;
  const digits = found.value.toString(16).padStart(32, "0");
  const groups = digits.match(/.{4}/g) ?? [];
  return `ip-${groups.map((group) => group.replace(/^0{1,3}/, "")).join("-")}`;
}

/** The address that a lease stands for. */
export function leaseAddress(name: string): string {
  const parts = name.replace(/^ip-/, "").split("-");
  if (parts.length !== 8) return parts.join(".");
  const found = parseAddress(parts.join(":"));
  return found ? formatAddress(found) : parts.join(":");
}
