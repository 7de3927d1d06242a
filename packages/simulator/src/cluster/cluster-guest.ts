import type { GuestSpec, GuestState, PlacementConstraints, StopMode } from "@polyvisor/core";
import type { GuestRun } from "../guests/guest-run.ts";
import type { MigrationOrder } from "../hypervisor/migrations.ts";

/** A guest as the cluster's API server knows it. */
export interface ClusterGuest {
  readonly spec: GuestSpec;
  readonly constraints: PlacementConstraints;
  /** The last that its host has said. */
  seen: GuestState;
  /** Absent until it has a host, and after that host was declared dead. */
  run?: GuestRun | undefined;
  /** How it is to be stopped, once its host answers. */
  wanted?: StopMode;
  /** A migration that waits for a place. */
  moving?:
    (Omit<MigrationOrder, "target"> & { readonly constraints: PlacementConstraints }) | undefined;
}
