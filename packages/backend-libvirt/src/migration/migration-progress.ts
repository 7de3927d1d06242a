import type { MigrationState } from "@polyvisor/core";
import type { TypedParameter } from "../rpc/typed-parameter.ts";

/** What the statistics of a domain's job say about a migration. Source: libvirt, `VIR_DOMAIN_JOB_*`. */
export function migrationProgress(
  parameters: readonly TypedParameter[],
): Pick<MigrationState, "totalBytes" | "remainingBytes" | "throttlePercent"> {
  const values = new Map(parameters.map(({ field, value }) => [field, Number(value)]));
  const totalBytes = values.get("data_total");
  const remainingBytes = values.get("data_remaining");
  const throttlePercent = values.get("auto_converge_throttle");
  return {
    ...(totalBytes !== undefined && totalBytes > 0 && { totalBytes }),
    ...(remainingBytes !== undefined &&
      totalBytes !== undefined &&
      totalBytes > 0 && { remainingBytes }),
    ...(throttlePercent !== undefined && { throttlePercent }),
  };
}
