import { isPolyvisorError, PolyvisorError } from "@polyvisor/core";
import { isBusyError, isLibvirtError } from "../rpc/libvirt-error.ts";
import { isRpcError } from "../rpc/rpc-error.ts";

/** Does `work` and gives its errors the codes of the ports, with the name of the host. */
export async function translated<T>(host: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translateError(host, error);
  }
}

function translateError(host: string, error: unknown): unknown {
  if (isPolyvisorError(error)) return error;
  const make = (
    code: ConstructorParameters<typeof PolyvisorError>[0],
    text: string,
  ): PolyvisorError => new PolyvisorError(code, `host "${host}": ${text}`, { cause: error });
  if (isBusyError(error)) return make("POLYVISOR_UNAVAILABLE", error.message);
  if (isLibvirtError(error)) return make("POLYVISOR_REFUSED", error.message);
  if (isRpcError(error, "RPC_ABORTED")) return error.cause ?? error;
  if (isRpcError(error, "RPC_UNSUPPORTED_TRANSPORT")) {
    return make("POLYVISOR_UNSUPPORTED", error.message);
  }
  if (isRpcError(error, "RPC_CONNECT_FAILED", "RPC_AUTHENTICATION_FAILED", "RPC_QUEUE_FULL")) {
    return make("POLYVISOR_UNAVAILABLE", error.message);
  }
  if (isRpcError(error)) return make("POLYVISOR_OUTCOME_UNKNOWN", error.message);
  return error;
}
