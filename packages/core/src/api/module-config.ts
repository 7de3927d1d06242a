import * as z from "zod";
import { type AddressRange, overlappingRanges, parseRange } from "../util/address-range.ts";
import { messageOf } from "../util/errors.ts";
import type { AdmissionIssue, Defaulted, KindDefinition } from "./kind.ts";
import type { Resource } from "./meta.ts";

/** The name of the one {@link ModuleConfig} that the platform follows. */
export const MODULE_CONFIG_NAME = "virtualization";

/** Settings of the platform. */
export interface ModuleConfig extends Resource {
  readonly kind: "ModuleConfig";
  readonly spec: {
    /** Default true. */
    readonly enabled: boolean;
    /** Version of the settings' schema. Default 1. */
    readonly version: number;
    readonly settings: ModuleSettings;
  };
}

/** Settings that the platform acts on; those of other parts of DVP are kept and not acted on. */
export interface ModuleSettings {
  /** Ranges that VMs get their addresses from, in order, such as `10.66.10.0/24`. */
  readonly virtualMachineCIDRs: readonly string[];
}

/** What an administrator writes of {@link ModuleSettings}. */
export type ModuleSettingsInput = Defaulted<ModuleSettings, "virtualMachineCIDRs"> &
  Readonly<Record<string, unknown>>;

/** What an administrator writes of a {@link ModuleConfig}. */
export interface ModuleConfigInput {
  readonly spec: {
    readonly enabled?: boolean | undefined;
    readonly version?: number | undefined;
    readonly settings: ModuleSettingsInput;
  };
}

const otherSettings = [
  "dvcr",
  "virtualDisks",
  "virtualImages",
  "liveMigration",
  "audit",
  "featureGates",
  "highAvailability",
  "ingressClass",
  "https",
  "logLevel",
  "logFormat",
] as const;

const settingsSchema: z.ZodType<ModuleSettings, ModuleSettingsInput> = z.strictObject({
  virtualMachineCIDRs: z.array(z.string()).default([]),
  ...Object.fromEntries(otherSettings.map((name) => [name, z.unknown().optional()])),
});

function admitModuleConfig({ spec }: ModuleConfig): AdmissionIssue[] {
  const issues: AdmissionIssue[] = [];
  const ranges: AddressRange[] = [];
  spec.settings.virtualMachineCIDRs.forEach((cidr, index) => {
    try {
      ranges.push(parseRange(cidr));
    } catch (error) {
      const field = `spec.settings.virtualMachineCIDRs[${index}]`;
      issues.push({ field, message: messageOf(error) });
    }
  });
  const overlap = overlappingRanges(ranges);
  if (overlap) {
    issues.push({
      field: "spec.settings.virtualMachineCIDRs",
      message: `${overlap[0].cidr} and ${overlap[1].cidr} overlap: make the ranges disjoint`,
    });
  }
  return issues;
}

/** The kind {@link ModuleConfig}. */
export const MODULE_CONFIG: KindDefinition<ModuleConfig, ModuleConfigInput> = {
  apiVersion: "deckhouse.io/v1alpha1",
  kind: "ModuleConfig",
  plural: "moduleconfigs",
  shortNames: ["mc"],
  namespaced: false,
  schema: z.strictObject({
    spec: z.strictObject({
      enabled: z.boolean().default(true),
      version: z.int().default(1),
      settings: settingsSchema,
    }),
  }),
  admit: admitModuleConfig,
  columns: [{ name: "Enabled", value: (config) => String(config.spec.enabled) }],
};
