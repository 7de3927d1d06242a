import type { AdmissionIssue } from "./kind.ts";
import type {
  Affinity,
  NodeSelectorRequirement,
  Toleration,
  TopologySpreadConstraint,
} from "./placement-terms.ts";
import type { LabelSelector } from "./selectors.ts";

/** What of a VM says where it runs. */
interface PlacementWishes {
  readonly affinity?: Affinity;
  readonly tolerations?: readonly Toleration[];
  readonly topologySpreadConstraints?: readonly TopologySpreadConstraint[];
}

/** The broken rules of placement terms. Source: Kubernetes, validation of `core/v1` Pod. */
export function admitPlacement(wishes: PlacementWishes, field: string): AdmissionIssue[] {
  const { affinity = {}, tolerations = [], topologySpreadConstraints = [] } = wishes;
  return [
    ...admitAffinity(affinity, `${field}.affinity`),
    ...admitTolerations(tolerations, `${field}.tolerations`),
    ...admitSpread(topologySpreadConstraints, `${field}.topologySpreadConstraints`),
  ];
}

function admitAffinity(affinity: Affinity, field: string): AdmissionIssue[] {
  const { nodeAffinity = {}, ...machines } = affinity;
  const {
    requiredDuringSchedulingIgnoredDuringExecution: required,
    preferredDuringSchedulingIgnoredDuringExecution: preferred = [],
  } = nodeAffinity;
  const terms = [
    ...(required?.nodeSelectorTerms ?? []),
    ...preferred.map(({ preference }) => preference),
  ];
  const issues = terms.flatMap(({ matchExpressions = [], matchFields = [] }) =>
    [...matchExpressions, ...matchFields].flatMap((requirement) =>
      admitNodeRequirement(requirement, `${field}.nodeAffinity`),
    ),
  );
  for (const [name, machineAffinity] of Object.entries(machines)) {
    const {
      requiredDuringSchedulingIgnoredDuringExecution: must = [],
      preferredDuringSchedulingIgnoredDuringExecution: should = [],
    } = machineAffinity;
    const all = [...must, ...should.map((term) => term.virtualMachineAndPodAffinityTerm)];
    for (const { labelSelector = {}, namespaceSelector = {} } of all) {
      issues.push(...admitLabelSelector(labelSelector, `${field}.${name}`));
      issues.push(...admitLabelSelector(namespaceSelector, `${field}.${name}`));
    }
  }
  return issues;
}

/** The broken rules of a label selector. Source: Kubernetes, validation of `metav1.LabelSelector`. */
export function admitLabelSelector(selector: LabelSelector, field: string): AdmissionIssue[] {
  return (selector.matchExpressions ?? []).flatMap((requirement) =>
    admitNodeRequirement(requirement, `${field}.matchExpressions`),
  );
}

function admitNodeRequirement(
  { key, operator, values = [] }: NodeSelectorRequirement,
  field: string,
): AdmissionIssue[] {
  const issue = (rule: string): AdmissionIssue[] => [
    { field, message: `values of ${JSON.stringify(key)} ${rule}` },
  ];
  switch (operator) {
    case "In":
    case "NotIn":
      return values.length === 0
        ? issue("must be specified when `operator` is 'In' or 'NotIn'")
        : [];
    case "Exists":
    case "DoesNotExist":
      return values.length > 0
        ? issue("may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        : [];
    case "Gt":
    case "Lt":
      return values.length === 1 && /^-?\d+$/.test(values[0] ?? "")
        ? []
        : issue("must be one whole number when `operator` is 'Lt' or 'Gt'");
  }
}

function admitTolerations(tolerations: readonly Toleration[], field: string): AdmissionIssue[] {
  return tolerations.flatMap(({ key, operator, value, effect, tolerationSeconds }, index) => {
    const rules: readonly (readonly [boolean, string])[] = [
      [
        key === undefined && operator !== "Exists",
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ],
      [
        operator === "Exists" && value !== undefined && value !== "",
        "value must be empty when `operator` is 'Exists'",
      ],
      [
        tolerationSeconds !== undefined && effect !== "NoExecute",
        "effect must be 'NoExecute' when `tolerationSeconds` is set",
      ],
    ];
    return rules.flatMap(([broken, message]) =>
      broken ? [{ field: `${field}[${index}]`, message }] : [],
    );
  });
}

function admitSpread(
  constraints: readonly TopologySpreadConstraint[],
  field: string,
): AdmissionIssue[] {
  return constraints.flatMap(({ topologyKey, whenUnsatisfiable, labelSelector = {} }, index) => {
    const where = `${field}[${index}]`;
    const issues = admitLabelSelector(labelSelector, `${where}.labelSelector`);
    const earlier = constraints
      .slice(0, index)
      .some(
        (other) =>
          other.topologyKey === topologyKey && other.whenUnsatisfiable === whenUnsatisfiable,
      );
    if (earlier) {
      issues.push({
        field: where,
        message: `there is a constraint with topologyKey ${topologyKey} and whenUnsatisfiable ${whenUnsatisfiable} already: make one of them`,
      });
    }
    return issues;
  });
}
