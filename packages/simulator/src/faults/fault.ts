import type { CutLoss } from "../network/network.ts";
import type { Duration } from "../time/duration.ts";

/** Calls of the ports that can be made to fail, by port. */
export const VERBS = {
  Hypervisor: [
    "hosts",
    "guests",
    "startGuest",
    "stopGuest",
    "removeGuest",
    "openSerial",
    "openVnc",
    "migrate",
    "cancelMigration",
    "attachDisk",
    "detachDisk",
    "resizeDisk",
    "agentInfo",
    "freeze",
    "thaw",
  ],
  Storage: [
    "classes",
    "createVolume",
    "getVolume",
    "deleteVolume",
    "attach",
    "detach",
    "fill",
    "read",
    "expand",
    "createSnapshot",
    "getSnapshot",
    "deleteSnapshot",
  ],
  ImageStore: ["importImage", "inspectImage", "readImage", "deleteImage"],
  Fencing: ["readPower", "powerOff", "powerOn"],
} as const;

/** A call that can be made to fail. */
export type Verb = (typeof VERBS)[keyof typeof VERBS][number];

/**
 * How a call fails: it never arrives and the caller knows (`unavailable`); it never arrives and the caller does not know
 * (`lost-request`); it is carried out and its answer is lost (`lost-answer`); it is refused; it fails inside.
 */
export type Failure = "unavailable" | "refused" | "failed" | "lost-request" | "lost-answer";

/** Calls that fail or take longer. */
export interface CallFault {
  readonly on: Verb;
  /** Only calls about this host. */
  readonly host?: string;
  /** Only calls about guests whose `namespace/name` fits; `*` stands for any letters. */
  readonly guest?: string;
  /** Only calls of this storage. */
  readonly storage?: string;
  /** The first call that is hit, counted from 1 among those that fit. Default 1. */
  readonly nth?: number;
  /** How many calls are hit from there on. Default: 1 when `nth` is given, else all. */
  readonly times?: number;
  /** Of each call that would be hit, 0 to 1. Default 1. */
  readonly probability?: number;
  /** Since when, counted from the beginning. Default: from the beginning on. */
  readonly at?: Duration;
  /** For how long. Default: for ever. */
  readonly for?: Duration;
  /** How much longer the call takes. */
  readonly after?: Duration;
  /** Absent: the call only takes longer. */
  readonly fail?: Failure;
  /** What the error says. */
  readonly message?: string;
}

/** Something that happens at a moment, and is undone after a while where that can be. */
export type Happening = {
  /** Counted from the beginning. */
  readonly at: Duration;
  /** With `cut`, `powerOff`, `hang`, `breakAgent` and `fill`: undone after this. Default: never. */
  readonly for?: Duration;
} & (
  | { readonly cut: { readonly between: readonly [string, string]; readonly lose?: CutLoss } }
  | { readonly powerOff: string }
  | { readonly powerOn: string }
  | { readonly reset: string }
  | { readonly crash: string }
  | { readonly shutDown: string }
  | { readonly reboot: string }
  | { readonly hang: string }
  | { readonly breakAgent: string }
  | { readonly fill: string }
);

/** What goes wrong in a data centre. */
export type Fault = CallFault | Happening;
