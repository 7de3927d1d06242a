/** Sockets by the number of cores. Source: DVP, CPU topology: 1 up to 16 cores, 2 up to 32, 4 up to 64, else 8. */
export function cpuTopology(cores: number): { sockets: number; coresPerSocket: number } {
  const sockets = cores <= 16 ? 1 : cores <= 32 ? 2 : cores <= 64 ? 4 : 8;
  return { sockets, coresPerSocket: Math.ceil(cores / sockets) };
}
