import type { ContentDigest } from "../digest/content-digest.ts";
import { SEGMENT_BYTES, SEGMENT_TREE_LEVEL, SegmentRoots } from "../digest/segment-roots.ts";
import type { CopySourceInput } from "./copy-source.ts";
import type { ResumableTarget } from "./resumable-target.ts";

/**
 * Lets a copy be observed for a content digest and for the journal of a resumable target, whose
 * verified segments `checkpoints` are not copied again.
 */
export function observe(
  digest: ContentDigest | undefined,
  resumable: ResumableTarget | undefined,
  checkpoints: readonly Buffer[] = [],
): Pick<CopySourceInput, "observer" | "start" | "afterStep"> {
  if (resumable === undefined) return { observer: digest };
  for (const root of checkpoints) digest?.addSubtree(SEGMENT_TREE_LEVEL, root);
  const segments = new SegmentRoots();
  let completed: Buffer[] = [];
  return {
    start: checkpoints.length * SEGMENT_BYTES,
    observer: {
      addZeroClusters: (count) => {
        digest?.addZeroClusters(count);
        completed.push(...segments.addZeroClusters(count));
      },
      addLeaves: (leaves) => {
        digest?.addLeaves(leaves);
        completed.push(...segments.addLeaves(leaves));
      },
    },
    afterStep: async () => {
      if (completed.length === 0) return;
      const roots = completed;
      completed = [];
      await resumable.checkpoint(roots);
    },
  };
}
