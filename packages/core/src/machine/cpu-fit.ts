import type { ClassCpu } from "../api/virtual-machine-class.ts";
import type { GuestCpuModel } from "../backend/guest-spec.ts";
import type { HostState } from "../backend/hypervisor.ts";

/** What a host's CPU offers; absent when its hypervisor does not say. */
export type HostCpu = HostState["cpu"];

/** The CPU that guests of a class see. `features` are those that were discovered, for the type `Discovery`. */
export function guestCpuModel(cpu: ClassCpu, features: readonly string[] = []): GuestCpuModel {
  switch (cpu.type) {
    case "Host":
      return { mode: "host-model" };
    case "HostPassthrough":
      return { mode: "host-passthrough" };
    case "Model":
      return { mode: "model", model: cpu.model ?? "" };
    case "Features":
      return { mode: "features", features: cpu.features ?? [] };
    case "Discovery":
      return { mode: "features", features };
  }
}

/**
 * Why a host cannot give guests this CPU, after the host's name: "has no CPU feature avx2". Of a host that does not say
 * what it has, its hypervisor has the last word.
 */
export function cpuProblem(model: GuestCpuModel, host: HostCpu): string | undefined {
  if (host === undefined) return undefined;
  switch (model.mode) {
    case "host-model":
    case "host-passthrough":
      return undefined;
    case "model":
      return host.models.includes(model.model) ? undefined : `has no CPU model ${model.model}`;
    case "features": {
      const missing = model.features.filter((feature) => !host.features.includes(feature));
      if (missing.length === 0) return undefined;
      return `has no CPU feature ${missing.join(", ")}`;
    }
  }
}

/** Why a running guest cannot move from one host to another, as {@link cpuProblem} says it. */
export function cpuMoveProblem(
  model: GuestCpuModel,
  source: HostCpu,
  target: HostCpu,
): string | undefined {
  const own = cpuProblem(model, target);
  if (own !== undefined || source === undefined || target === undefined) return own;
  switch (model.mode) {
    case "model":
    case "features":
      return undefined;
    case "host-model": {
      if (source.vendor !== target.vendor) return otherCpu(source, target);
      // The guest has seen everything that the source offers.
      const missing = source.features.filter((feature) => !target.features.includes(feature));
      if (missing.length === 0) return undefined;
      return `has no CPU feature ${missing.join(", ")}, which the guest has got`;
    }
    case "host-passthrough":
      return isSameCpu(source, target) ? undefined : otherCpu(source, target);
  }
}

function isSameCpu(one: NonNullable<HostCpu>, other: NonNullable<HostCpu>): boolean {
  return (
    one.vendor === other.vendor &&
    one.model === other.model &&
    one.features.length === other.features.length &&
    one.features.every((feature) => other.features.includes(feature))
  );
}

function otherCpu(source: NonNullable<HostCpu>, target: NonNullable<HostCpu>): string {
  const describe = ({ vendor, model }: NonNullable<HostCpu>): string =>
    [vendor, model].filter(Boolean).join(" ") || "unknown";
  const [from, to] = [describe(source), describe(target)];
  return from === to
    ? `has another CPU than the guest runs on, though both are ${from}`
    : `has another CPU (${to}) than the guest runs on (${from})`;
}
