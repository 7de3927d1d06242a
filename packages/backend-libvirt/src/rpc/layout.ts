import type { structLayouts } from "./struct-layouts.ts";
import type { TypedParameter } from "./typed-parameter.ts";
import type { Integer64 } from "./xdr-reader.ts";

/**
 * A struct of the wire: its fields in wire order, each with a type token.
 *
 * Tokens: `i32`, `u32`, `i64`, `u64`, `f64`, `bool` (a 32-bit integer), `str`, `uuid` (opaque[16]),
 * `tparam` (typed parameter), `opaque<N>`, `char4[N]` (a C character array of four bytes per
 * character), `char4<N>` (at most N such characters, as bytes), or the name of a struct. A trailing `?` makes a token optional, a trailing `<N>`
 * makes it a list of at most N elements.
 */
export interface Layout {
  readonly [field: string]: string;
}

/** The name of a struct that several messages share. */
export type StructName = keyof typeof structLayouts;

interface ScalarValues {
  i32: number;
  u32: number;
  i64: Integer64;
  u64: Integer64;
  f64: number;
  bool: boolean;
  str: string;
  uuid: string;
  tparam: TypedParameter;
}

/** The JavaScript type of one type token. */
export type TokenValue<Token> = Token extends keyof ScalarValues
  ? ScalarValues[Token]
  : Token extends StructName
    ? LayoutValue<(typeof structLayouts)[Token]>
    : Token extends `opaque<${number}>` | `char4<${number}>`
      ? Uint8Array
      : Token extends `char4[${number}]`
        ? string
        : Token extends `${infer Element}?`
          ? TokenValue<Element>
          : Token extends `${infer Element}<${number}>`
            ? readonly TokenValue<Element>[]
            : never;

type OptionalField<Fields> = {
  [Field in keyof Fields]: Fields[Field] extends `${string}?` ? Field : never;
}[keyof Fields];

type Flatten<Value> = { [Field in keyof Value]: Value[Field] };

/** The JavaScript type of a layout: required fields, then optional ones that may be left out. */
export type LayoutValue<Fields> = Flatten<
  {
    readonly [Field in Exclude<keyof Fields, OptionalField<Fields>>]: TokenValue<Fields[Field]>;
  } & {
    readonly [Field in OptionalField<Fields>]?: TokenValue<Fields[Field]> | undefined;
  }
>;
