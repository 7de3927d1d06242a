import { type MigrationLimits, migrationLimits } from "../operations/migration-limits.ts";
import { MODULE_CONFIG_NAME, type ModuleSettings } from "../api/module-config.ts";
import type { Caches } from "./runtime/caches.ts";

/** The settings of the platform as they are now. */
export function currentSettings(caches: Caches): ModuleSettings {
  return (
    caches.of("ModuleConfig").get(MODULE_CONFIG_NAME)?.spec.settings ?? { virtualMachineCIDRs: [] }
  );
}

/** How many migrations there may be at once, and how fast. */
export function currentMigrationLimits(caches: Caches): MigrationLimits {
  const nodes = [...caches.of("Node").values()].length;
  return migrationLimits(currentSettings(caches).liveMigration ?? {}, nodes);
}
