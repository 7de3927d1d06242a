import type { Resource } from "../api/meta.ts";
import { matchesFields, matchesLabels } from "../api/selectors.ts";
import type { Selection } from "./resource-store.ts";

/** True when a resource is among what was asked for. */
export function isSelected(resource: Resource, selection: Selection): boolean {
  const { namespace, labelSelector, fieldSelector } = selection;
  return (
    (namespace === undefined || resource.metadata.namespace === namespace) &&
    (labelSelector === undefined || matchesLabels(labelSelector, resource.metadata.labels)) &&
    (fieldSelector === undefined || matchesFields(fieldSelector, resource))
  );
}
