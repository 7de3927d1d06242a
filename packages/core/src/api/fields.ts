import * as z from "zod";
import { isQuantity } from "../util/quantity.ts";

const QUANTITY_HINT = 'must be a quantity such as "10Gi"';

/** A Kubernetes quantity; a number is taken as text, as Kubernetes does for `int-or-string`. */
export const quantity: z.ZodType<string, string | number> = z
  .union([z.string(), z.number()], {
    error: ({ input }) => (input === undefined ? "is missing (quantity)" : QUANTITY_HINT),
  })
  .transform(String)
  .pipe(z.string().refine(isQuantity, QUANTITY_HINT));

/** Text that must not be empty. */
export const nonEmpty: z.ZodString = z.string().min(1);

/** Any text for any key, such as labels to select by. */
export const textByKey: z.ZodRecord<z.ZodString, z.ZodString> = z.record(z.string(), z.string());
