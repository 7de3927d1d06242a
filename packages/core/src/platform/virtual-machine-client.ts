import type { ByteStream } from "../backend/hypervisor.ts";
import type { Fleet } from "../controllers/fleet.ts";
import { DEFAULT_NAMESPACE } from "../api/meta.ts";
import type { CloneNaming } from "../api/clone-naming.ts";
import type {
  VirtualMachineOperation,
  VirtualMachineOperationSpec,
} from "../api/virtual-machine-operation.ts";
import { type OperationLimits, runOperation } from "./run-operation.ts";
import { PolyvisorError } from "../util/errors.ts";
import { type NamespaceOptions, ResourceClient } from "./resource-client.ts";

/** Where the VM is, and how long to wait for an operation on it. */
export type OperationOptions = NamespaceOptions & OperationLimits;

/** How much an operation may hurt the guest. */
export interface ForceOptions {
  /** Stop, restart: without waiting for the guest. Migrate, evict: the guest may be slowed down. */
  readonly force?: boolean;
}

function forceOf({ force }: ForceOptions): ForceOptions {
  return force === undefined ? {} : { force };
}

type ClientParts = ConstructorParameters<typeof ResourceClient>[1];

/** The client for VMs, with what only VMs can do. */
export class VirtualMachineClient extends ResourceClient<"VirtualMachine"> {
  readonly #fleet: Fleet;
  readonly #operations: ResourceClient<"VirtualMachineOperation">;

  constructor(
    parts: ClientParts & {
      readonly fleet: Fleet;
      readonly operations: ResourceClient<"VirtualMachineOperation">;
    },
  ) {
    super("VirtualMachine", parts);
    this.#fleet = parts.fleet;
    this.#operations = parts.operations;
  }

  /** Starts a VM, and waits until it runs. @throws As {@link restart}. */
  start(name: string, options: OperationOptions = {}): Promise<VirtualMachineOperation> {
    return this.#run({ type: "Start", virtualMachineName: name }, options);
  }

  /** Shuts a VM down, and waits until it is stopped. @throws As {@link restart}. */
  stop(
    name: string,
    options: OperationOptions & ForceOptions = {},
  ): Promise<VirtualMachineOperation> {
    return this.#run({ type: "Stop", virtualMachineName: name, ...forceOf(options) }, options);
  }

  /**
   * Shuts a VM down and starts it, which applies changes that wait for that; waits until it runs again.
   *
   * @throws `POLYVISOR_INVALID` while another operation has to end first, `POLYVISOR_FAILED` when the operation has
   *   failed, was superseded by another one or was deleted, `POLYVISOR_TIMEOUT`, and the reason of `signal`.
   */
  restart(
    name: string,
    options: OperationOptions & ForceOptions = {},
  ): Promise<VirtualMachineOperation> {
    return this.#run({ type: "Restart", virtualMachineName: name, ...forceOf(options) }, options);
  }

  /** Moves a running VM to another node, and waits until it is there. @throws As {@link restart}. */
  migrate(
    name: string,
    options: OperationOptions &
      ForceOptions & {
        /** Labels that the target must have. */
        readonly nodeSelector?: Readonly<Record<string, string>>;
      } = {},
  ): Promise<VirtualMachineOperation> {
    const { nodeSelector } = options;
    const migrate = nodeSelector && { migrate: { nodeSelector } };
    return this.#run(
      { type: "Migrate", virtualMachineName: name, ...forceOf(options), ...migrate },
      options,
    );
  }

  /** Moves a running VM away from its node, and waits until that is done. @throws As {@link restart}. */
  evict(
    name: string,
    options: OperationOptions & ForceOptions = {},
  ): Promise<VirtualMachineOperation> {
    return this.#run({ type: "Evict", virtualMachineName: name, ...forceOf(options) }, options);
  }

  /**
   * Makes a VM what it was when a snapshot was taken; the result of every object is in `status.resources`.
   *
   * @throws As {@link restart}.
   */
  restore(
    name: string,
    restore: NonNullable<VirtualMachineOperationSpec["restore"]>,
    options: OperationOptions = {},
  ): Promise<VirtualMachineOperation> {
    return this.#run({ type: "Restore", virtualMachineName: name, restore }, options);
  }

  /**
   * Makes a VM like another one, with copies of its disks; the result of every object is in `status.resources`.
   *
   * @throws As {@link restart}.
   */
  clone(
    name: string,
    clone: CloneNaming,
    options: OperationOptions = {},
  ): Promise<VirtualMachineOperation> {
    return this.#run({ type: "Clone", virtualMachineName: name, clone }, options);
  }

  #run(
    spec: VirtualMachineOperationSpec,
    { namespace = DEFAULT_NAMESPACE, ...limits }: OperationOptions,
  ): Promise<VirtualMachineOperation> {
    return runOperation(this.#operations, namespace, spec, limits);
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
