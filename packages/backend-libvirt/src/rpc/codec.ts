import type { Layout } from "./layout.ts";
import { structLayouts } from "./struct-layouts.ts";
import { readTypedParameter, writeTypedParameter, type TypedParameter } from "./typed-parameter.ts";
import type { Integer64, XdrReader } from "./xdr-reader.ts";
import type { XdrWriter } from "./xdr-writer.ts";

/** Reads and writes one type of value. */
export interface Codec<Value> {
  /** Reads a value; throws `RPC_PROTOCOL` when the bytes do not hold one. */
  read(reader: XdrReader): Value;
  /** Writes a value; throws `RPC_INVALID_ARGUMENT` when the wire cannot carry it. */
  write(writer: XdrWriter, value: Value): void;
}

function codec<Value>(
  read: (reader: XdrReader) => Value,
  write: (writer: XdrWriter, value: Value) => void,
): Codec<unknown> {
  return { read, write: write as (writer: XdrWriter, value: unknown) => void };
}

const scalars: Readonly<Record<string, Codec<unknown>>> = {
  i32: codec(
    (reader) => reader.readInt(),
    (writer, value: number) => writer.writeInt(value),
  ),
  u32: codec(
    (reader) => reader.readUnsignedInt(),
    (writer, value: number) => writer.writeUnsignedInt(value),
  ),
  i64: codec(
    (reader) => reader.readHyper(),
    (writer, value: Integer64) => writer.writeHyper(value),
  ),
  u64: codec(
    (reader) => reader.readUnsignedHyper(),
    (writer, value: Integer64) => writer.writeUnsignedHyper(value),
  ),
  f64: codec(
    (reader) => reader.readDouble(),
    (writer, value: number) => writer.writeDouble(value),
  ),
  bool: codec(
    (reader) => reader.readBoolean(),
    (writer, value: boolean) => writer.writeBoolean(value),
  ),
  str: codec(
    (reader) => reader.readString(),
    (writer, value: string) => writer.writeString(value),
  ),
  uuid: codec(
    (reader) => reader.readUuid(),
    (writer, value: string) => writer.writeUuid(value),
  ),
  tparam: codec(readTypedParameter, (writer, value: TypedParameter) =>
    writeTypedParameter(writer, value),
  ),
};

const structs = new Map<string, Codec<unknown>>();
const bounded = /^(.+)[<[](\d+)[>\]]$/;

/** The codec of a struct with the given fields, written and read in the order of its keys. */
export function layoutCodec(layout: Layout): Codec<unknown> {
  const fields = Object.entries(layout).map(([name, token]) => ({ name, ...tokenCodec(token) }));
  return {
    read(reader) {
      const value: Record<string, unknown> = {};
      for (const field of fields) value[field.name] = field.read(reader);
      return value;
    },
    write(writer, value) {
      for (const field of fields) {
        field.write(writer, (value as Record<string, unknown>)[field.name]);
      }
    },
  };
}

function tokenCodec(token: string): Codec<unknown> {
  const scalar = scalars[token];
  if (scalar !== undefined) return scalar;
  if (token.endsWith("?")) return optionalCodec(tokenCodec(token.slice(0, -1)));
  const parts = bounded.exec(token);
  if (parts === null) return structCodec(token);
  const [, element = "", length = ""] = parts;
  if (element === "opaque") return opaqueCodec(Number(length));
  if (element === "char4") {
    return token.endsWith(">") ? charListCodec(Number(length)) : charArrayCodec(Number(length));
  }
  return listCodec(tokenCodec(element), Number(length));
}

function structCodec(name: string): Codec<unknown> {
  const known = structs.get(name);
  if (known !== undefined) return known;
  const layout: Layout | undefined = (structLayouts as Readonly<Record<string, Layout>>)[name];
  if (layout === undefined) throw new TypeError(`"${name}" is not a type of the wire.`);
  const compiled = layoutCodec(layout);
  structs.set(name, compiled);
  return compiled;
}

function optionalCodec(element: Codec<unknown>): Codec<unknown> {
  return {
    read: (reader) => (reader.readBoolean() ? element.read(reader) : undefined),
    write(writer, value) {
      writer.writeBoolean(value !== undefined);
      if (value !== undefined) element.write(writer, value);
    },
  };
}

function listCodec(element: Codec<unknown>, limit: number): Codec<unknown> {
  return codec(
    (reader) => {
      const length = reader.readListLength(limit);
      const values: unknown[] = [];
      for (let index = 0; index < length; index++) values.push(element.read(reader));
      return values;
    },
    (writer, values: readonly unknown[]) => {
      writer.writeListLength(values.length, limit);
      for (const value of values) element.write(writer, value);
    },
  );
}

function opaqueCodec(limit: number): Codec<unknown> {
  return codec(
    (reader) => reader.readOpaque(limit),
    (writer, value: Uint8Array) => writer.writeOpaque(value, limit),
  );
}

function charArrayCodec(length: number): Codec<unknown> {
  return codec(
    (reader) => reader.readCharArray(length),
    (writer, value: string) => writer.writeCharArray(value, length),
  );
}

function charListCodec(limit: number): Codec<unknown> {
  return codec(
    (reader) => reader.readCharList(limit),
    (writer, value: Uint8Array) => writer.writeCharList(value, limit),
  );
}
