import { SCALE_DOWN_TARGETS_ANNOTATION, scaleDownTargets } from "../api/scale-down-targets.ts";
import type { VirtualMachinePool } from "../api/virtual-machine-pool.ts";
import { POOL_LABEL } from "../pool/pool-members.ts";
import { isPolyvisorError, PolyvisorError } from "../util/errors.ts";
import { type NamespaceOptions, ResourceClient } from "./resource-client.ts";

type ClientParts = ConstructorParameters<typeof ResourceClient>[1];

/** The client for pools, with what only pools can do. */
export class VirtualMachinePoolClient extends ResourceClient<"VirtualMachinePool"> {
  readonly #members: ResourceClient<"VirtualMachine">;

  constructor(parts: ClientParts & { readonly members: ResourceClient<"VirtualMachine"> }) {
    super("VirtualMachinePool", parts);
    this.#members = parts.members;
  }

  /**
   * Sets the number of VMs.
   *
   * @throws `POLYVISOR_NOT_FOUND`, `POLYVISOR_INVALID` for fewer VMs in a pool with the policy `Explicit`.
   */
  scale(
    name: string,
    replicas: number,
    options: NamespaceOptions = {},
  ): Promise<VirtualMachinePool> {
    return this.patch(name, { spec: { replicas } }, options);
  }

  /**
   * Removes these members, and lowers the number of VMs by as many.
   *
   * @throws `POLYVISOR_NOT_FOUND` for what is no member of the pool.
   */
  async scaleDownWith(
    name: string,
    targets: readonly string[],
    options: NamespaceOptions = {},
  ): Promise<VirtualMachinePool> {
    for (;;) {
      const pool = await this.get(name, options);
      const members = await this.#membersOf(pool);
      const stranger = targets.find((target) => !members.includes(target));
      if (stranger !== undefined) {
        throw new PolyvisorError(
          "POLYVISOR_NOT_FOUND",
          `VirtualMachine "${stranger}" is no member of VirtualMachinePool "${name}": its members are ${members.join(", ") || "none"}`,
        );
      }
      const earlier = scaleDownTargets(pool).filter((target) => members.includes(target));
      const all = [...new Set([...earlier, ...targets])];
      const replicas = (pool.spec.replicas ?? members.length) - (all.length - earlier.length);
      const annotations = {
        ...pool.metadata.annotations,
        [SCALE_DOWN_TARGETS_ANNOTATION]: all.join(","),
      };
      try {
        return await this.update({
          ...pool,
          metadata: { ...pool.metadata, annotations },
          spec: { ...pool.spec, replicas: Math.max(0, replicas) },
        });
      } catch (error) {
        if (!isPolyvisorError(error, "POLYVISOR_CONFLICT")) throw error;
      }
    }
  }

  async #membersOf({ metadata }: VirtualMachinePool): Promise<string[]> {
    const { name, namespace = "" } = metadata;
    const labelSelector = { matchLabels: { [POOL_LABEL]: name } };
    const { items } = await this.#members.list({ namespace, labelSelector });
    const staying = items.filter((member) => member.metadata.deletionTimestamp === undefined);
    return staying.map((member) => member.metadata.name);
  }
}
