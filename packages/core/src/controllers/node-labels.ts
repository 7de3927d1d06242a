import { GROUP, type ObjectMeta } from "../api/meta.ts";
import type { HostState } from "../backend/hypervisor.ts";

/**
 * The labels by which a host is chosen: its own, its name as Kubernetes gives it to nodes, and the CPU models and features
 * that guests can have there. Source: DVP, the labels `cpu-model.node` and `cpu-feature.node`.
 */
export function nodeLabels({ name, labels, cpu }: HostState): Readonly<Record<string, string>> {
  const named = (sort: string, names: readonly string[] = []): Record<string, string> =>
    Object.fromEntries(
      names.map((one) => [`${sort}.node.virtualization.deckhouse.io/${one}`, "true"]),
    );
  return {
    "kubernetes.io/hostname": name,
    ...labels,
    ...named("cpu-model", cpu?.models),
    ...named("cpu-feature", cpu?.features),
  };
}

/** Names the labels that came from the host, so that those that it gives up are known from those of a user. */
const HOST_LABELS_ANNOTATION = `${GROUP}/host-labels`;

type LabelsOfNode = Required<Pick<ObjectMeta, "labels" | "annotations">>;

/** Labels and annotations of a node: those of the host, and of the others what a user has added. */
export function mergedLabels(
  known: Pick<ObjectMeta, "labels" | "annotations"> | undefined,
  host: HostState,
): LabelsOfNode {
  const own = nodeLabels(host);
  const former = (known?.annotations?.[HOST_LABELS_ANNOTATION] ?? "").split(",");
  const added = Object.entries(known?.labels ?? {}).filter(([key]) => !former.includes(key));
  return {
    labels: { ...Object.fromEntries(added), ...own },
    annotations: {
      ...known?.annotations,
      [HOST_LABELS_ANNOTATION]: Object.keys(own).sort().join(","),
    },
  };
}
