import type { DomainHandle } from "../rpc/struct-layouts.ts";
import type { TypedParameter } from "../rpc/typed-parameter.ts";

/** What a disk has carried since its guest was started. */
export interface DiskStatistics {
  /** Such as `sda`. */
  readonly target: string;
  readonly readRequests: number;
  readonly readBytes: number;
  readonly readNanoseconds: number;
  readonly writeRequests: number;
  readonly writtenBytes: number;
  readonly writeNanoseconds: number;
  readonly flushRequests: number;
  /** Absent while the source does not say. */
  readonly capacityBytes?: number;
  readonly allocatedBytes?: number;
}

/** What a network card has carried since its guest was started. */
export interface InterfaceStatistics {
  /** Name on the host, such as `vnet0`. */
  readonly device: string;
  readonly receivedBytes: number;
  readonly receivedPackets: number;
  readonly receiveErrors: number;
  readonly receiveDropped: number;
  readonly sentBytes: number;
  readonly sentPackets: number;
  readonly sendErrors: number;
  readonly sendDropped: number;
}

/** What the guest tells of its memory; absent where it has no driver that tells. */
export interface MemoryStatistics {
  /** What the guest has of its memory now. */
  readonly currentBytes: number;
  /** Of the host's memory that its process takes. */
  readonly residentBytes?: number;
  /** What the guest's system can use in all. */
  readonly availableBytes?: number;
  /** What is free. */
  readonly unusedBytes?: number;
  /** What programs could get without swapping. */
  readonly usableBytes?: number;
  readonly swapInBytes?: number;
  readonly swapOutBytes?: number;
}

/** What a domain uses. Counters begin anew with each start. */
export interface GuestStatistics {
  readonly uid: string;
  /** Name of the domain. */
  readonly domain: string;
  readonly cpuNanoseconds: number;
  readonly cpuUserNanoseconds: number;
  readonly cpuSystemNanoseconds: number;
  readonly vcpus: readonly { readonly number: number; readonly nanoseconds: number }[];
  readonly memory: MemoryStatistics;
  readonly disks: readonly DiskStatistics[];
  readonly interfaces: readonly InterfaceStatistics[];
}

/**
 * Reads what libvirt tells of a domain.
 *
 * @see libvirt, `virConnectGetAllDomainStats`
 */
export function readGuestStatistics(
  domain: DomainHandle,
  parameters: readonly TypedParameter[],
): GuestStatistics {
  const values = new Map<string, TypedParameter["value"]>();
  for (const { field, value } of parameters) values.set(field, value);
  const known = (field: string): number | undefined => {
    const value = values.get(field);
    return value === undefined ? undefined : Number(value);
  };
  const count = (field: string): number => known(field) ?? 0;
  const text = (field: string): string => String(values.get(field) ?? "");
  const kibibytes = (field: string): number | undefined => {
    const value = known(field);
    return value === undefined ? undefined : value * 1024;
  };
  const each = <T>(group: string, read: (prefix: string, index: number) => T): T[] =>
    Array.from({ length: count(`${group}.count`) }, (_, index) => read(`${group}.${index}`, index));
  return {
    uid: domain.uuid,
    domain: domain.name,
    cpuNanoseconds: count("cpu.time"),
    cpuUserNanoseconds: count("cpu.user"),
    cpuSystemNanoseconds: count("cpu.system"),
    vcpus: Array.from({ length: count("vcpu.maximum") }, (_, number) => number)
      .filter((number) => values.has(`vcpu.${number}.state`))
      .map((number) => ({ number, nanoseconds: count(`vcpu.${number}.time`) })),
    memory: {
      currentBytes: count("balloon.current") * 1024,
      ...present("residentBytes", kibibytes("balloon.rss")),
      ...present("availableBytes", kibibytes("balloon.available")),
      ...present("unusedBytes", kibibytes("balloon.unused")),
      ...present("usableBytes", kibibytes("balloon.usable")),
      ...present("swapInBytes", kibibytes("balloon.swap_in")),
      ...present("swapOutBytes", kibibytes("balloon.swap_out")),
    },
    disks: each("block", (disk) => ({
      target: text(`${disk}.name`),
      readRequests: count(`${disk}.rd.reqs`),
      readBytes: count(`${disk}.rd.bytes`),
      readNanoseconds: count(`${disk}.rd.times`),
      writeRequests: count(`${disk}.wr.reqs`),
      writtenBytes: count(`${disk}.wr.bytes`),
      writeNanoseconds: count(`${disk}.wr.times`),
      flushRequests: count(`${disk}.fl.reqs`),
      ...present("capacityBytes", known(`${disk}.capacity`)),
      ...present("allocatedBytes", known(`${disk}.allocation`)),
    })),
    interfaces: each("net", (card) => ({
      device: text(`${card}.name`),
      receivedBytes: count(`${card}.rx.bytes`),
      receivedPackets: count(`${card}.rx.pkts`),
      receiveErrors: count(`${card}.rx.errs`),
      receiveDropped: count(`${card}.rx.drop`),
      sentBytes: count(`${card}.tx.bytes`),
      sentPackets: count(`${card}.tx.pkts`),
      sendErrors: count(`${card}.tx.errs`),
      sendDropped: count(`${card}.tx.drop`),
    })),
  };
}

function present<Name extends string>(
  name: Name,
  value: number | undefined,
): { readonly [Key in Name]?: number } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [Key in Name]?: number });
}
