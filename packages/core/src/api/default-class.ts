import { GROUP, type Resource } from "./meta.ts";

/** Marks, with the value `true`, the class of VMs that name none. */
export const DEFAULT_CLASS_ANNOTATION: string = `virtualmachineclass.${GROUP}/is-default-class`;

/** True for the class of VMs that name none. */
export function isDefaultClass({ metadata }: Resource): boolean {
  return metadata.annotations?.[DEFAULT_CLASS_ANNOTATION] === "true";
}
