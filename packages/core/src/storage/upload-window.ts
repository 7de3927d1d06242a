/** An upload must begin so many milliseconds after it was asked for. Source: DVP. */
export const UPLOAD_WINDOW = 600_000;

/** Whether an upload may still begin. */
export type UploadDecision =
  | { readonly state: "open"; readonly left: number }
  | { readonly state: "expired"; readonly message: string };

/**
 * Judges an upload that has not begun.
 *
 * @param since When the upload address was given out, in milliseconds since 1970.
 */
export function judgeUpload(since: number, now: number, kind: string): UploadDecision {
  const left = since + UPLOAD_WINDOW - now;
  if (left > 0) return { state: "open", left };
  return {
    state: "expired",
    message: `The image was not uploaded within 10 minutes. Recreate the ${kind} to get another upload address.`,
  };
}
