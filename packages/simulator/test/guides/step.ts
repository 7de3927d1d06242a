import type { Kind } from "@polyvisor/core";

/** Where we show something else than the guide prints, and why. */
export interface Difference {
  /** As the guide writes it. */
  readonly column: string;
  /** Number of the row, from 0; absent: all rows. */
  readonly row?: number;
  /** What we show; a pattern where it differs from run to run. Absent: the guide has a column that we do not have. */
  readonly shows?: string | RegExp;
  /** Our name of the column, where it is called otherwise. */
  readonly called?: string;
  readonly why: string;
}

/** A command of a guide, in its order. */
export interface Step {
  /** The command as the guide writes it, without `d8 k`, `kubectl` and the like. */
  readonly command: string;
  /** What is given to it, or in the case of a patch what is written into the resource. */
  readonly input?: string;
  /** The table or text that the guide prints. Ages are not compared. */
  readonly prints?: string;
  readonly differs?: readonly Difference[];
  /** The guide lists what was there besides; only the rows that it prints are looked for. */
  readonly amongOthers?: boolean;
  /** The command is refused with this, and why. */
  readonly refused?: { readonly message: RegExp; readonly why: string };
  /** It belongs to other systems, such as a container registry, and is not replayed. */
  readonly outside?: string;
}

/** A guide from top to bottom. */
export interface Guide {
  readonly title: string;
  readonly steps: readonly Step[];
}

/** Columns that newer versions have and the guides' did not, by kind. */
export const NEWER_COLUMNS: Readonly<Partial<Record<Kind, readonly string[]>>> = {
  VirtualDisk: ["VIRTUALMACHINE"],
  VirtualImage: ["TARGETPVC"],
  VirtualMachine: ["UPTIME"],
  VirtualMachineClass: ["ISDEFAULT"],
};

/** Why tables of one guide show different addresses and nodes for one VM. */
export const OTHER_RUN: string =
  "the guide's tables are of several VMs and runs: its node and address change from table to table";
