import * as z from "zod";
import type { KindDefinition } from "./kind.ts";
import type { Resource } from "./meta.ts";

/** Which resource an event is about. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
}

/** Something that has happened to a resource. Source: Kubernetes `core/v1` `Event`. */
export interface Event extends Resource {
  readonly kind: "Event";
  readonly involvedObject: ObjectReference;
  readonly type: "Normal" | "Warning";
  /** One CamelCase word; stable. */
  readonly reason: string;
  readonly message: string;
  /** How often the same has happened since `firstTimestamp`. */
  readonly count: number;
  /** RFC 3339. */
  readonly firstTimestamp: string;
  /** RFC 3339. */
  readonly lastTimestamp: string;
  /** Who says so. */
  readonly reportingComponent: string;
}

/** What is written of an {@link Event}. */
export type EventInput = Omit<Event, "apiVersion" | "kind" | "metadata" | "spec" | "status">;

/** The kind {@link Event}. */
export const EVENT: KindDefinition<Event, EventInput> = {
  apiVersion: "v1",
  kind: "Event",
  plural: "events",
  shortNames: ["ev"],
  namespaced: true,
  schema: z.strictObject({
    involvedObject: z.strictObject({
      apiVersion: z.string(),
      kind: z.string(),
      name: z.string(),
      namespace: z.string().exactOptional(),
      uid: z.string().exactOptional(),
    }),
    type: z.enum(["Normal", "Warning"]),
    reason: z.string(),
    message: z.string(),
    count: z.int().min(1),
    firstTimestamp: z.string(),
    lastTimestamp: z.string(),
    reportingComponent: z.string(),
  }),
  wholeTable: true,
  columns: [
    { name: "Last Seen", value: ({ lastTimestamp }) => lastTimestamp, type: "date" },
    { name: "Type", value: ({ type }) => type },
    { name: "Reason", value: ({ reason }) => reason },
    {
      name: "Object",
      value: ({ involvedObject: { kind, name } }) => `${kind.toLowerCase()}/${name}`,
    },
    { name: "Message", value: ({ message }) => message },
  ],
};
