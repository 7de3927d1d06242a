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
    }
  | {
      /** A volume that a cluster brings to whatever host it chooses, such as a PersistentVolumeClaim. */
      readonly type: "claim";
      readonly namespace: string;
      readonly name: string;
    };

/** The kinds of {@link BlockSource}. */
export type BlockSourceType = BlockSource["type"];
