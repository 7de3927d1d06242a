import * as z from "zod";

/** An object as a snapshot of a machine keeps it: what a user could have written. */
export interface KeptObject {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** A disk of the machine, with the snapshot of its content. */
export interface KeptDisk extends KeptObject {
  /** The `VirtualDiskSnapshot`. */
  readonly snapshotName: string;
}

/** An address of the machine. */
export interface KeptAddress extends KeptObject {
  /** What was bound. */
  readonly address: string;
}

/** The secret that the machine's provisioning names. */
interface KeptSecret {
  readonly name: string;
  readonly type: string;
  readonly data: Readonly<Record<string, string>>;
}

/** What a snapshot of a machine keeps besides the content of its disks. */
export interface MachineSnapshotContent {
  readonly virtualMachine: KeptObject;
  readonly virtualDisks: readonly KeptDisk[];
  readonly ipAddress?: KeptAddress;
  readonly macAddresses: readonly KeptAddress[];
  readonly secret?: KeptSecret;
  readonly attachments: readonly KeptObject[];
}

const texts = z.record(z.string(), z.string());
const kept = {
  name: z.string().min(1),
  labels: texts.exactOptional(),
  annotations: texts.exactOptional(),
  spec: z.record(z.string(), z.unknown()),
};
const address = z.strictObject({ ...kept, address: z.string() });
const contentSchema: z.ZodType<MachineSnapshotContent> = z.strictObject({
  virtualMachine: z.strictObject(kept),
  virtualDisks: z.array(z.strictObject({ ...kept, snapshotName: z.string().min(1) })),
  ipAddress: address.exactOptional(),
  macAddresses: z.array(address),
  secret: z
    .strictObject({ name: z.string().min(1), type: z.string(), data: texts })
    .exactOptional(),
  attachments: z.array(z.strictObject(kept)),
});

const KEY = "content.json";

/** The data of the secret that keeps the content. */
export function encodeContent(content: MachineSnapshotContent): Readonly<Record<string, string>> {
  return { [KEY]: Buffer.from(JSON.stringify(content)).toString("base64") };
}

/** What {@link encodeContent} was given; `undefined` when somebody has changed the data. */
export function decodeContent(
  data: Readonly<Record<string, string>>,
): MachineSnapshotContent | undefined {
  try {
    return contentSchema.parse(JSON.parse(Buffer.from(data[KEY] ?? "", "base64").toString()));
  } catch {
    return undefined;
  }
}
