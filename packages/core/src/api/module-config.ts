import * as z from "zod";
import {
  type AddressRange,
  containingRange,
  overlappingRanges,
  parseRange,
} from "../util/address-range.ts";
import { messageOf } from "../util/errors.ts";
import { nonEmpty, quantity } from "./fields.ts";
import type { AdmissionContext, AdmissionIssue, Defaulted, KindDefinition } from "./kind.ts";
import { leaseAddress } from "./lease-name.ts";
import type { Resource } from "./meta.ts";

/** The name of the one {@link ModuleConfig} that the platform follows. */
export const MODULE_CONFIG_NAME = "virtualization";

/** Settings of the platform. */
export interface ModuleConfig extends Resource {
  readonly kind: "ModuleConfig";
  readonly spec: {
    /** Always true, which is the default. */
    readonly enabled: boolean;
    /** Version of the settings' schema. Default 1. */
    readonly version: number;
    readonly settings: ModuleSettings;
  };
}

/** Which storage classes are used. */
export interface StorageClassSettings {
  /** For resources that name none. Default: the class that is marked as default. */
  readonly defaultStorageClassName?: string;
  /** Classes that may be named. Default: all. */
  readonly allowedStorageClassSelector?: { readonly matchNames: readonly string[] };
}

/** Settings that the platform acts on; those of other parts of DVP are kept and not acted on. */
export interface ModuleSettings {
  /** Ranges that VMs get their addresses from, in order, such as `10.66.10.0/24`. */
  readonly virtualMachineCIDRs: readonly string[];
  readonly virtualDisks?: StorageClassSettings;
  /** For images that are kept on volumes. */
  readonly virtualImages?: StorageClassSettings;
  readonly liveMigration?: {
    /** Bytes a second that migrations from one node take at most, as a quantity. */
    readonly bandwidthPerNode?: string;
    /** Migrations from one node at the same time. */
    readonly maxMigrationsPerNode?: number;
  };
}

/** What an administrator writes of {@link ModuleSettings}. */
export type ModuleSettingsInput = Defaulted<
  Omit<ModuleSettings, "liveMigration">,
  "virtualMachineCIDRs"
> & {
  readonly liveMigration?: {
    readonly bandwidthPerNode?: string | number;
    readonly maxMigrationsPerNode?: number;
    readonly network?: unknown;
  };
} & Readonly<Record<string, unknown>>;

/** What an administrator writes of a {@link ModuleConfig}. */
export interface ModuleConfigInput {
  readonly spec: {
    readonly enabled?: boolean | undefined;
    readonly version?: number | undefined;
    readonly settings: ModuleSettingsInput;
  };
}

/** Settings of parts of DVP that are not here. */
const OTHER_SETTINGS = [
  "dvcr",
  "audit",
  "featureGates",
  "highAvailability",
  "ingressClass",
  "gatewayAPIGateway",
  "https",
  "logLevel",
  "logFormat",
] as const;

const storageClasses = z.strictObject({
  defaultStorageClassName: nonEmpty.exactOptional(),
  allowedStorageClassSelector: z
    .strictObject({ matchNames: z.array(nonEmpty).min(1) })
    .exactOptional(),
});

const settingsSchema: z.ZodType<ModuleSettings, ModuleSettingsInput> = z.strictObject({
  virtualMachineCIDRs: z.array(z.string()).default([]),
  virtualDisks: storageClasses.exactOptional(),
  virtualImages: storageClasses.exactOptional(),
  liveMigration: z
    .strictObject({
      bandwidthPerNode: quantity.exactOptional(),
      maxMigrationsPerNode: z.int().min(1).exactOptional(),
      network: z.unknown().optional(),
    })
    .exactOptional(),
  ...Object.fromEntries(OTHER_SETTINGS.map((name) => [name, z.unknown().optional()])),
});

async function admitModuleConfig(
  { metadata, spec }: ModuleConfig,
  context: AdmissionContext<ModuleConfig>,
): Promise<AdmissionIssue[]> {
  if (metadata.name !== MODULE_CONFIG_NAME) {
    context.warn(`only the ModuleConfig "${MODULE_CONFIG_NAME}" has an effect`);
  }
  warnOfIdleSettings(spec.settings, context);
  const issues: AdmissionIssue[] = [];
  if (!spec.enabled) {
    issues.push({
      field: "spec.enabled",
      message: "the platform is not switched off by its settings: dispose of it instead",
    });
  }
  const ranges: AddressRange[] = [];
  spec.settings.virtualMachineCIDRs.forEach((cidr, index) => {
    try {
      ranges.push(parseRange(cidr));
    } catch (error) {
      const field = `spec.settings.virtualMachineCIDRs[${index}]`;
      issues.push({ field, message: messageOf(error) });
    }
  });
  const field = "spec.settings.virtualMachineCIDRs";
  const overlap = overlappingRanges(ranges);
  if (overlap) {
    issues.push({
      field,
      message: `${overlap[0].cidr} and ${overlap[1].cidr} overlap: make the ranges disjoint`,
    });
  }
  if (issues.length > 0) return issues;
  const lost = await leasedAddresses(spec.settings, context);
  if (lost.length > 0) {
    issues.push({
      field,
      message: `${lost.length} leased address(es) would be in no range, such as ${lost[0]}: keep their range, or delete their VirtualMachineIPAddresses first`,
    });
  }
  return issues;
}

function warnOfIdleSettings(settings: object, { warn }: AdmissionContext<ModuleConfig>): void {
  for (const name of OTHER_SETTINGS) {
    if (Reflect.get(settings, name) === undefined) continue;
    warn(`spec.settings.${name} is kept and has no effect here`);
  }
  const migration: unknown = Reflect.get(settings, "liveMigration");
  const network: unknown = migration && Reflect.get(migration, "network");
  if (network !== undefined) {
    warn("spec.settings.liveMigration.network is kept and has no effect here");
  }
}

/** Addresses in use that only ranges which are no longer wanted have. */
async function leasedAddresses(
  { virtualMachineCIDRs }: ModuleSettings,
  context: AdmissionContext<ModuleConfig>,
): Promise<string[]> {
  const before = context.previous?.spec.settings.virtualMachineCIDRs ?? [];
  const removed = before.filter((cidr) => !virtualMachineCIDRs.includes(cidr));
  if (removed.length === 0) return [];
  const leases = await context.list("VirtualMachineIPAddressLease");
  return leases
    .filter(({ spec }) => spec.virtualMachineIPAddressRef?.name !== undefined)
    .map(({ metadata }) => leaseAddress(metadata.name))
    .filter(
      (address) =>
        containingRange(removed, address) !== undefined &&
        containingRange(virtualMachineCIDRs, address) === undefined,
    );
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
