import type { ConnectionPool } from "../rpc/connection-pool.ts";
import { procedures } from "../rpc/procedures.ts";
import { type GuestStatistics, readGuestStatistics } from "./guest-statistics.ts";

/** Numbers of libvirt: `virDomainStatsTypes`, `virConnectGetAllDomainStatsFlags`. */
const STATE = 1;
const CPU = 2;
const BALLOON = 4;
const VCPU = 8;
const INTERFACE = 16;
const BLOCK = 32;
const ONLY_RUNNING = 1;
/** A guest whose QEMU hangs is told of with what is known without it. */
const WITHOUT_WAITING = 2 ** 29;
/** Numbers of libvirt: `VIR_NODE_CPU_STATS_ALL_CPUS`, `VIR_NODE_MEMORY_STATS_ALL_CELLS`. */
const ALL = -1;

/** How busy a host is. Times count from its start. */
export interface HostLoad {
  readonly cpuUserNanoseconds: number;
  readonly cpuKernelNanoseconds: number;
  readonly cpuIdleNanoseconds: number;
  readonly cpuWaitNanoseconds: number;
  readonly memoryTotalBytes: number;
  readonly memoryFreeBytes: number;
  readonly memoryBuffersBytes: number;
  readonly memoryCachedBytes: number;
}

/** What a host and its running guests use. */
export interface HostStatistics {
  readonly host: string;
  readonly load: HostLoad;
  /** Of guests that are not ours as well. */
  readonly guests: readonly GuestStatistics[];
}

/** Asks a host for the statistics of all its running guests in one call, and for its load. */
export async function readHostStatistics(
  host: string,
  pool: ConnectionPool,
  signal: AbortSignal,
): Promise<HostStatistics> {
  const [{ records }, cpu, memory] = await Promise.all([
    pool.call(
      procedures.connectGetAllDomainStats,
      {
        domains: [],
        stats: STATE | CPU | BALLOON | VCPU | INTERFACE | BLOCK,
        flags: ONLY_RUNNING | WITHOUT_WAITING,
      },
      { signal },
    ),
    readCpu(pool, signal),
    readMemory(pool, signal),
  ]);
  return {
    host,
    load: {
      cpuUserNanoseconds: cpu.get("user") ?? 0,
      cpuKernelNanoseconds: cpu.get("kernel") ?? 0,
      cpuIdleNanoseconds: cpu.get("idle") ?? 0,
      cpuWaitNanoseconds: cpu.get("iowait") ?? 0,
      memoryTotalBytes: (memory.get("total") ?? 0) * 1024,
      memoryFreeBytes: (memory.get("free") ?? 0) * 1024,
      memoryBuffersBytes: (memory.get("buffers") ?? 0) * 1024,
      memoryCachedBytes: (memory.get("cached") ?? 0) * 1024,
    },
    guests: records.map(({ domain, parameters }) => readGuestStatistics(domain, parameters)),
  };
}

/** The daemon is asked how many values it has, and then for so many. */
async function readCpu(pool: ConnectionPool, signal: AbortSignal): Promise<Map<string, number>> {
  const call = (parameterCount: number) =>
    pool.call(procedures.nodeGetCpuStats, { cpu: ALL, parameterCount, flags: 0 }, { signal });
  const { parameterCount } = await call(0);
  return valuesOf((await call(parameterCount)).parameters);
}

async function readMemory(pool: ConnectionPool, signal: AbortSignal): Promise<Map<string, number>> {
  const call = (parameterCount: number) =>
    pool.call(procedures.nodeGetMemoryStats, { cell: ALL, parameterCount, flags: 0 }, { signal });
  const { parameterCount } = await call(0);
  return valuesOf((await call(parameterCount)).parameters);
}

function valuesOf(
  counters: readonly { readonly field: string; readonly value: number | bigint }[],
): Map<string, number> {
  return new Map(counters.map(({ field, value }) => [field, Number(value)]));
}
