import { PolyvisorError } from "../util/errors.ts";
import type { KindDefinition } from "./kind.ts";
import { type Kind, type Kinds, KINDS } from "./kinds.ts";
import { describeResource, type Resource } from "./meta.ts";

/**
 * A resource as another version of its kind shows it, such as a VirtualMachineClass in `v1alpha2`, where core fractions
 * are numbers. It can be applied again as it is.
 *
 * @throws `POLYVISOR_INVALID` for a version that the kind does not have.
 */
export function convertToVersion(resource: Kinds[Kind], apiVersion: string): Resource {
  if (resource.apiVersion === apiVersion) return resource;
  const definition = KINDS[resource.kind as Kind] as unknown as KindDefinition<Resource>;
  const versions = [definition.apiVersion, ...(definition.servedVersions ?? [])];
  if (definition.toServedVersion === undefined || !versions.includes(apiVersion)) {
    throw new PolyvisorError(
      "POLYVISOR_INVALID",
      `${describeResource(resource)} has no version ${apiVersion}: use ${versions.join(" or ")}`,
    );
  }
  return { ...definition.toServedVersion(resource), apiVersion };
}
