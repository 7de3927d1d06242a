import { parseQuantity } from "../util/quantity.ts";

/** What `spec.settings.liveMigration` of the ModuleConfig says. */
export interface MigrationSettings {
  /** A quantity of bytes a second. */
  readonly bandwidthPerNode?: string;
  readonly maxMigrationsPerNode?: number;
}

/** How many migrations there may be at once, and how fast. */
export interface MigrationLimits {
  /** From a node, and to a node. */
  readonly perNode: number;
  /** On the whole platform. */
  readonly total: number;
  readonly bytesPerSecond: number;
}

/** The limits that follow from the settings and the number of nodes. Source: DVP, "Limits". */
export function migrationLimits(
  { bandwidthPerNode = "640Mi", maxMigrationsPerNode = 1 }: MigrationSettings,
  nodes: number,
): MigrationLimits {
  return {
    perNode: maxMigrationsPerNode,
    total: Math.max(2, nodes * maxMigrationsPerNode),
    bytesPerSecond: Math.floor(parseQuantity(bandwidthPerNode) / maxMigrationsPerNode),
  };
}
