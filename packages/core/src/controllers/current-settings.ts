import { MODULE_CONFIG_NAME, type ModuleSettings } from "../api/module-config.ts";
import type { Caches } from "./runtime/caches.ts";

/** The settings of the platform as they are now. */
export function currentSettings(caches: Caches): ModuleSettings {
  return (
    caches.of("ModuleConfig").get(MODULE_CONFIG_NAME)?.spec.settings ?? { virtualMachineCIDRs: [] }
  );
}
