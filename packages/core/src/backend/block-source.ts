/** Where a hypervisor finds the content of a disk. What a hypervisor takes is in its capabilities. */
export type BlockSource =
  | {
      readonly type: "file";
      /** Absolute path on the host. */
      readonly path: string;
      readonly format: "raw" | "qcow2";
    }
  | {
      readonly type: "block";
      /** Absolute path of the device on the host. */
      readonly path: string;
    };

/** The kinds of {@link BlockSource}. */
export type BlockSourceType = BlockSource["type"];
