import { formatBytes, parseQuantity } from "../util/quantity.ts";

/** What sizes the VMs of a class may have. Source: the DVP administrator guide, "Virtual machine classes". */
export interface SizingPolicy {
  /** The numbers of cores that the policy is for: `min`, `min + step` and so on, and `max`. */
  readonly cores: { readonly min: number; readonly max: number; readonly step?: number };
  /** Quantities. With `step` only `min`, `min + step` and so on, and `max` are allowed; it needs a `max`. */
  readonly memory?: {
    readonly min?: string | number;
    readonly max?: string | number;
    readonly step?: string | number;
    readonly perCore?: { readonly min?: string | number; readonly max?: string | number };
  };
  /** Percentages such as `20%`. Absent or empty: all. */
  readonly coreFractions?: readonly string[];
  /** What a VM gets that names no core fraction. */
  readonly defaultCoreFraction?: string;
  /** Kept for older manifests; VMs have no such field, so it has no effect. */
  readonly dedicatedCores?: readonly boolean[];
}

/** What a VM wants of CPU and memory. */
export interface MachineSize {
  readonly cores: number;
  /** Such as `20%`. */
  readonly coreFraction: string;
  /** A quantity. */
  readonly memorySize: string;
}

const HINT =
  "check the sizing policy of the VirtualMachineClass or contact the administrator for more information";

/**
 * Why a size is not allowed by a class, as a sentence without its subject ("does not match …"); `undefined` when it is
 * allowed. A class without policies allows everything.
 */
export function sizingProblem(
  className: string,
  policies: readonly SizingPolicy[] | undefined,
  size: MachineSize,
): string | undefined {
  if (!policies?.length) return undefined;
  const policy = policyFor(policies, size.cores);
  if (policy === undefined) {
    const ranges = policies.map(({ cores }) => `${cores.min}-${cores.max}`).join(", ");
    return `does not match any sizing policy of VirtualMachineClass "${className}": its ${size.cores} CPU core(s) fall outside the allowed ranges (${ranges}); set the number of cores (spec.cpu.cores) accordingly`;
  }
  const problems = [
    ...fractionProblems(policy, size),
    ...coreProblems(policy, size),
    ...memoryProblems(policy, size),
    ...memoryPerCoreProblems(policy, size),
  ];
  const subject = `does not match the sizing policy of VirtualMachineClass "${className}"`;
  if (problems.length === 0) return undefined;
  if (problems.length === 1) return `${subject}: ${problems[0]}: ${HINT}`;
  const list = problems.map((problem) => `\n  - ${problem}`).join("");
  return `${subject} for several reasons:${list}\n${HINT}`;
}

/** The core fraction of a VM that names none, or why there is none to choose. */
export function defaultCoreFraction(
  policies: readonly SizingPolicy[] | undefined,
  cores: number,
): { readonly coreFraction: string } | { readonly problem: string } {
  if (!policies?.length) return { coreFraction: "100%" };
  const policy = policyFor(policies, cores);
  if (policy === undefined) {
    return {
      problem: `the specified ".spec.cpu.cores ${cores}" value is not among the sizing policies allowed for the virtual machine`,
    };
  }
  const { coreFractions = [], defaultCoreFraction: chosen } = policy;
  if (chosen !== undefined) return { coreFraction: chosen };
  if (coreFractions.length === 0 || coreFractions.includes("100%")) return { coreFraction: "100%" };
  return {
    problem: `the default value for core fraction is not defined. For the specified configuration ".spec.cpu.cores ${cores}", the following core fractions are allowed: [${coreFractions.join(", ")}]. Please specify the ".spec.cpu.coreFraction" value and try again`,
  };
}

/** What is wrong with the policies of a class, each with the field. */
export function sizingPolicyProblems(
  className: string,
  policies: readonly SizingPolicy[] | undefined = [],
): readonly { readonly field: string; readonly message: string }[] {
  const problems: { field: string; message: string }[] = [];
  policies.forEach(({ cores, coreFractions = [], defaultCoreFraction: chosen }, index) => {
    const field = `spec.sizingPolicies[${index}]`;
    const crossing = policies.findIndex(
      (other, position) =>
        position < index && cores.min <= other.cores.max && other.cores.min <= cores.max,
    );
    if (crossing >= 0) {
      problems.push({
        field: `${field}.cores`,
        message: `vmclass ${className} has size policy cpu crosses: ${cores.min}-${cores.max} and spec.sizingPolicies[${crossing}] have numbers of cores in common`,
      });
    }
    const allowed = coreFractions.length === 0 || chosen === "Auto" || chosen === undefined;
    if (!allowed && !coreFractions.includes(chosen)) {
      problems.push({
        field: `${field}.defaultCoreFraction`,
        message: `the default core fraction ${chosen} is not among the allowed core fractions: choose one of ${coreFractions.join(", ")}`,
      });
    }
  });
  return problems;
}

function policyFor(policies: readonly SizingPolicy[], cores: number): SizingPolicy | undefined {
  return policies.find((policy) => policy.cores.min <= cores && cores <= policy.cores.max);
}

function fractionProblems({ coreFractions = [] }: SizingPolicy, size: MachineSize): string[] {
  const { coreFraction } = size;
  if (coreFractions.length === 0 || coreFractions.includes(coreFraction)) return [];
  // A fraction that the guest's load decides has no value that a list could hold.
  if (coreFraction === "Auto") return [];
  return [
    `the CPU core fraction "${coreFraction}" is not allowed; set the core fraction (spec.cpu.coreFraction) to one of: ${coreFractions.join(", ")}`,
  ];
}

function coreProblems(
  { cores: { min, max, step } }: SizingPolicy,
  { cores }: MachineSize,
): string[] {
  const nearest = step === undefined ? undefined : offGrid(cores, { min, max, step });
  if (nearest === undefined) return [];
  return [
    `the number of CPU cores (${cores}) does not match the sizing policy step; set the number of cores (spec.cpu.cores) to ${nearest.join(" or ")}`,
  ];
}

function memoryProblems({ memory = {} }: SizingPolicy, { memorySize }: MachineSize): string[] {
  const { min, max, step } = bytesOf(memory);
  const size = parseQuantity(memorySize);
  if (size < (min ?? 0) || size > (max ?? Infinity)) {
    return [
      `the memory size (${memorySize}) is out of the range allowed by the sizing policy; set the memory size (spec.memory.size) ${rangeText(min, max)}`,
    ];
  }
  if (step === undefined || max === undefined) return [];
  const nearest = offGrid(size, { min: min ?? step, max, step });
  if (nearest === undefined) return [];
  const values = nearest.map(formatBytes).join(" or ");
  return [
    `the memory size (${memorySize}) does not match the sizing policy step; set the memory size (spec.memory.size) to ${values}`,
  ];
}

function memoryPerCoreProblems(
  { memory: { step: stepText, perCore } = {} }: SizingPolicy,
  { memorySize, cores }: MachineSize,
): string[] {
  if (perCore === undefined) return [];
  const { min, max, step } = bytesOf({
    ...perCore,
    ...(stepText !== undefined && { step: stepText }),
  });
  const size = parseQuantity(memorySize);
  const least = min === undefined ? undefined : min * cores;
  const most = max === undefined ? undefined : max * cores;
  const otherwise = ", or change the number of cores (spec.cpu.cores)";
  if (size < (least ?? 0) || size > (most ?? Infinity)) {
    const perCoreRange = rangeText(min, max).replace(/^to /, "");
    return [
      `the memory size (${memorySize}) is not allowed for ${cores} CPU core(s); set the memory size (spec.memory.size) ${rangeText(least, most)}${otherwise} (the sizing policy allows ${perCoreRange} of memory per core)`,
    ];
  }
  if (step === undefined || max === undefined) return [];
  const grid = { min: (min ?? step) * cores, max: max * cores, step: step * cores };
  const nearest = offGrid(size, grid);
  if (nearest === undefined) return [];
  const values = nearest.map(formatBytes).join(" or ");
  return [
    `the memory size (${memorySize}) does not match the per-core sizing policy step for ${cores} CPU core(s); set the memory size (spec.memory.size) to ${values}${otherwise}`,
  ];
}

type Bounds<T> = { readonly min?: T; readonly max?: T; readonly step?: T };

function bytesOf({ min, max, step }: Bounds<string | number>): Bounds<number> {
  return {
    ...(min !== undefined && { min: parseQuantity(min) }),
    ...(max !== undefined && { max: parseQuantity(max) }),
    ...(step !== undefined && { step: parseQuantity(step) }),
  };
}

function rangeText(min: number | undefined, max: number | undefined): string {
  if (max === undefined) return `to at least ${formatBytes(min ?? 0)}`;
  if (min === undefined) return `to at most ${formatBytes(max)}`;
  return `between ${formatBytes(min)} and ${formatBytes(max)}`;
}

/** The nearest allowed values below and above, or `undefined` for a value that is allowed itself. */
function offGrid(
  value: number,
  { min, max, step }: Required<Bounds<number>>,
): readonly number[] | undefined {
  if (value === max || (value >= min && (value - min) % step === 0)) return undefined;
  if (value < min) return [min];
  const below = min + Math.floor((value - min) / step) * step;
  return [below, Math.min(below + step, max)];
}
