import { RpcError } from "./rpc-error.ts";
import type { Integer64, XdrReader } from "./xdr-reader.ts";
import type { XdrWriter } from "./xdr-writer.ts";

/**
 * One named value of a libvirt parameter list (virTypedParameter), such as
 * `{ field: "cpu.time", type: "ullong", value: 1234 }`.
 */
export type TypedParameter =
  | { readonly field: string; readonly type: "int" | "uint" | "double"; readonly value: number }
  | { readonly field: string; readonly type: "llong" | "ullong"; readonly value: Integer64 }
  | { readonly field: string; readonly type: "boolean"; readonly value: boolean }
  | { readonly field: string; readonly type: "string"; readonly value: string };

const wireTypes = {
  int: 1,
  uint: 2,
  llong: 3,
  ullong: 4,
  double: 5,
  boolean: 6,
  string: 7,
} as const satisfies Record<TypedParameter["type"], number>;

/** Reads one parameter; an unknown type is a protocol error because its length is unknown. */
export function readTypedParameter(reader: XdrReader): TypedParameter {
  const field = reader.readName();
  const type = reader.readInt();
  switch (type) {
    case wireTypes.int:
      return { field, type: "int", value: reader.readInt() };
    case wireTypes.uint:
      return { field, type: "uint", value: reader.readUnsignedInt() };
    case wireTypes.llong:
      return { field, type: "llong", value: reader.readHyper() };
    case wireTypes.ullong:
      return { field, type: "ullong", value: reader.readUnsignedHyper() };
    case wireTypes.double:
      return { field, type: "double", value: reader.readDouble() };
    case wireTypes.boolean:
      return { field, type: "boolean", value: reader.readBoolean() };
    case wireTypes.string:
      return { field, type: "string", value: reader.readString() };
    default:
      throw new RpcError("RPC_PROTOCOL", `Parameter "${field}" has the unknown type ${type}.`);
  }
}

/** Writes one parameter. */
export function writeTypedParameter(writer: XdrWriter, parameter: TypedParameter): void {
  writer.writeString(parameter.field);
  writer.writeInt(wireTypes[parameter.type]);
  switch (parameter.type) {
    case "int":
      return writer.writeInt(parameter.value);
    case "uint":
      return writer.writeUnsignedInt(parameter.value);
    case "double":
      return writer.writeDouble(parameter.value);
    case "llong":
      return writer.writeHyper(parameter.value);
    case "ullong":
      return writer.writeUnsignedHyper(parameter.value);
    case "boolean":
      return writer.writeBoolean(parameter.value);
    case "string":
      return writer.writeString(parameter.value);
  }
}
