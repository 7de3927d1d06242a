import type { ByteStream } from "../backend/hypervisor.ts";
import type { Fleet } from "../controllers/fleet.ts";
import { PolyvisorError } from "../util/errors.ts";
import { type NamespaceOptions, ResourceClient } from "./resource-client.ts";

type ClientParts = ConstructorParameters<typeof ResourceClient>[1];

/** The client for VMs, with what only VMs can do. */
export class VirtualMachineClient extends ResourceClient<"VirtualMachine"> {
  readonly #fleet: Fleet;

  constructor(parts: ClientParts & { readonly fleet: Fleet }) {
    super("VirtualMachine", parts);
    this.#fleet = parts.fleet;
  }

  /**
   * Opens the serial console of a running VM; a session that somebody else has there ends.
   *
   * @throws `POLYVISOR_REFUSED` when the VM does not run, `POLYVISOR_UNSUPPORTED` when its hypervisor has no consoles.
   */
  async console(
    name: string,
    options: NamespaceOptions & { readonly signal?: AbortSignal } = {},
  ): Promise<ByteStream> {
    const vm = await this.get(name, options);
    const record = vm.status?.guest;
    if (record?.host === undefined || record.state === "Stopped" || record.state === "Starting") {
      throw new PolyvisorError(
        "POLYVISOR_REFUSED",
        `VirtualMachine "${name}" is ${vm.status?.phase ?? "Pending"}: wait for it to be Running`,
      );
    }
    const { hypervisor } = this.#fleet.memberOf(record.host);
    if (hypervisor.consoles === undefined) {
      throw new PolyvisorError(
        "POLYVISOR_UNSUPPORTED",
        `hypervisor "${hypervisor.name}" has no serial consoles`,
      );
    }
    const { signal } = options;
    return hypervisor.consoles.openSerial(
      { uid: vm.metadata.uid, incarnation: record.incarnation },
      { ...(signal && { signal }) },
    );
  }
}
