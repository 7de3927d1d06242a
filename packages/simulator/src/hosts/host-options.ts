import type { Taint } from "@polyvisor/core";
import type { Duration } from "../time/duration.ts";

/** A host of a data centre. */
export interface HostOptions {
  readonly name: string;
  /** Default 16. */
  readonly cpus?: number;
  /** Default 64 GiB. */
  readonly memoryBytes?: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** With delegated placement: what keeps guests away that do not tolerate it. */
  readonly taints?: readonly Taint[];
  /** Default: an Intel Cascade Lake server. */
  readonly cpu?: {
    readonly vendor?: string;
    readonly model?: string;
    /** Named models that guests can have. Default: `model`. */
    readonly models?: readonly string[];
    readonly features?: readonly string[];
  };
  /** From power on until its guests can be started. Default 60 s. */
  readonly boot?: Duration;
  /** Default true. */
  readonly on?: boolean;
}

/** What a host's CPU is when nothing is said. */
export const USUAL_CPU: Required<NonNullable<HostOptions["cpu"]>> = {
  vendor: "Intel",
  model: "Cascadelake-Server-noTSX",
  models: [
    "Nehalem",
    "Westmere",
    "SandyBridge",
    "IvyBridge",
    "Haswell-noTSX",
    "Broadwell-noTSX",
    "Skylake-Server-noTSX-IBRS",
    "Cascadelake-Server-noTSX",
  ],
  features: [
    "aes",
    "avx",
    "avx2",
    "avx512f",
    "fma",
    "fpu",
    "mmx",
    "pcid",
    "popcnt",
    "rdrand",
    "sse",
    "sse2",
    "sse4.1",
    "sse4.2",
    "ssse3",
    "vmx",
    "x2apic",
    "xsave",
  ],
};
