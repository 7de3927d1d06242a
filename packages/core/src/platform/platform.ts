import type { Kind, Kinds } from "../api/kinds.ts";
import type { Applied, ResourceClient } from "./resource-client.ts";
import type { VirtualMachineClient } from "./virtual-machine-client.ts";

/** A running platform. Dispose of it to stop its controllers; guests go on running. */
export interface Platform extends AsyncDisposable {
  readonly clusterVirtualImages: ResourceClient<"ClusterVirtualImage">;
  readonly moduleConfigs: ResourceClient<"ModuleConfig">;
  readonly nodes: ResourceClient<"Node">;
  readonly secrets: ResourceClient<"Secret">;
  readonly storageClasses: ResourceClient<"StorageClass">;
  readonly virtualDisks: ResourceClient<"VirtualDisk">;
  readonly virtualImages: ResourceClient<"VirtualImage">;
  readonly virtualMachineClasses: ResourceClient<"VirtualMachineClass">;
  readonly virtualMachineIPAddresses: ResourceClient<"VirtualMachineIPAddress">;
  readonly virtualMachineIPAddressLeases: ResourceClient<"VirtualMachineIPAddressLease">;
  readonly virtualMachines: VirtualMachineClient;

  /** The client for a kind by its name. */
  client<K extends Kind>(kind: K): ResourceClient<K>;

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
