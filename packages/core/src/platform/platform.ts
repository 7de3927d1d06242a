import type { Kind, Kinds } from "../api/kinds.ts";
import type { IncomingUpload } from "../controllers/uploads.ts";
import type { NodeClient } from "./node-client.ts";
import type { Applied, ResourceClient } from "./resource-client.ts";
import type { VirtualMachinePoolClient } from "./virtual-machine-pool-client.ts";
import type { VirtualMachineClient } from "./virtual-machine-client.ts";

/** A running platform. Dispose of it to stop its controllers; guests go on running. */
export interface Platform extends AsyncDisposable {
  readonly clusterVirtualImages: ResourceClient<"ClusterVirtualImage">;
  readonly events: ResourceClient<"Event">;
  readonly moduleConfigs: ResourceClient<"ModuleConfig">;
  readonly namespaces: ResourceClient<"Namespace">;
  readonly nodes: NodeClient;
  readonly secrets: ResourceClient<"Secret">;
  readonly storageClasses: ResourceClient<"StorageClass">;
  readonly virtualDiskSnapshots: ResourceClient<"VirtualDiskSnapshot">;
  readonly virtualDisks: ResourceClient<"VirtualDisk">;
  readonly virtualImages: ResourceClient<"VirtualImage">;
  readonly virtualMachineBlockDeviceAttachments: ResourceClient<"VirtualMachineBlockDeviceAttachment">;
  readonly virtualMachineClasses: ResourceClient<"VirtualMachineClass">;
  readonly virtualMachineIPAddressLeases: ResourceClient<"VirtualMachineIPAddressLease">;
  readonly virtualMachineIPAddresses: ResourceClient<"VirtualMachineIPAddress">;
  readonly virtualMachineMACAddressLeases: ResourceClient<"VirtualMachineMACAddressLease">;
  readonly virtualMachineMACAddresses: ResourceClient<"VirtualMachineMACAddress">;
  readonly virtualMachineOperations: ResourceClient<"VirtualMachineOperation">;
  readonly virtualMachinePools: VirtualMachinePoolClient;
  readonly virtualMachineSnapshotOperations: ResourceClient<"VirtualMachineSnapshotOperation">;
  readonly virtualMachineSnapshots: ResourceClient<"VirtualMachineSnapshot">;
  readonly virtualMachines: VirtualMachineClient;
  readonly volumeSnapshotClasses: ResourceClient<"VolumeSnapshotClass">;

  /** The client for a kind by its name. */
  client<K extends Kind>(kind: K): ResourceClient<K>;

  /**
   * Takes what somebody sends to the upload address of an image or a disk, and resolves when it was imported.
   * `uploadHandler` does this for requests over HTTP.
   *
   * @param token The last part of the address.
   * @throws `POLYVISOR_NOT_FOUND` when nothing waits for it (any more), `POLYVISOR_CONFLICT` when it is being sent
   *   already, or the image store's error.
   */
  receiveUpload(token: string, upload: IncomingUpload): Promise<void>;

  /**
   * Creates or changes what manifests say: YAML with any number of documents, or objects. Nothing is written when the
   * shape of any of them is wrong.
   *
   * @throws `POLYVISOR_INVALID` that names the resource and the field.
   */
  apply(manifests: string | readonly object[]): Promise<readonly Applied<AppliedResource>[]>;
}

/** A resource of any kind. */
export type AppliedResource = Kinds[Kind];
