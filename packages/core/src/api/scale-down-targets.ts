import { GROUP, type Resource } from "./meta.ts";

/** Annotation of a pool: the members that are to be removed first, with commas between them. */
export const SCALE_DOWN_TARGETS_ANNOTATION: string = `virtualmachinepool.${GROUP}/scale-down-targets`;

/** The members of a pool that were named for removal. */
export function scaleDownTargets({ metadata }: Resource): string[] {
  const text = metadata.annotations?.[SCALE_DOWN_TARGETS_ANNOTATION] ?? "";
  return text === "" ? [] : text.split(",");
}
