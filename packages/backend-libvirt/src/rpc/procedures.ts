import { layoutCodec, type Codec } from "./codec.ts";
import type { Layout, LayoutValue } from "./layout.ts";
import { connectProcedures } from "./procedures/connect-procedures.ts";
import { domainProcedures } from "./procedures/domain-procedures.ts";
import { eventProcedures } from "./procedures/event-procedures.ts";
import { networkProcedures } from "./procedures/network-procedures.ts";
import { storageProcedures } from "./procedures/storage-procedures.ts";
import { remoteProgram } from "./programs.ts";

/**
 * The daemon runs `high` procedures on workers of their own and they never wait for QEMU, so they
 * are answered even while `low` ones hang in a monitor.
 */
export type ProcedurePriority = "high" | "low";

/** One procedure of a program: its address on the wire and the codecs of its messages. */
export interface Procedure<Arguments, Result> {
  readonly name: string;
  readonly program: number;
  readonly number: number;
  readonly priority: ProcedurePriority;
  readonly argumentsCodec: Codec<Arguments>;
  readonly resultCodec: Codec<Result>;
}

/** The arguments of a procedure. */
export type ProcedureArguments<P> =
  P extends Procedure<infer Arguments, unknown> ? Arguments : never;

/** The result of a procedure. */
export type ProcedureResult<P> = P extends Procedure<unknown, infer Result> ? Result : never;

type TableRow = readonly [number, ProcedurePriority, Layout, Layout];

type CompiledTable<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends readonly [
    number,
    ProcedurePriority,
    infer Arguments,
    infer Result,
  ]
    ? Procedure<LayoutValue<Arguments>, LayoutValue<Result>>
    : never;
};

function compileTable<const Table extends Readonly<Record<string, TableRow>>>(
  table: Table,
): CompiledTable<Table> {
  const entries = Object.entries(table).map(([name, [number, priority, input, output]]) => [
    name,
    {
      name,
      program: remoteProgram,
      number,
      priority,
      argumentsCodec: layoutCodec(input),
      resultCodec: layoutCodec(output),
    },
  ]);
  return Object.fromEntries(entries) as CompiledTable<Table>;
}

/** The type of {@link procedures}. */
export type Procedures = CompiledTable<
  typeof connectProcedures &
    typeof domainProcedures &
    typeof networkProcedures &
    typeof storageProcedures &
    typeof eventProcedures
>;

/** The name of a known procedure. */
export type ProcedureName = keyof Procedures;

/**
 * The procedures of the REMOTE program that this client knows, by name (remote_protocol.x).
 *
 * @remarks
 * To add one, add its row to the table of its area in `procedures/`:
 * `domainRename: [358, "low", { domain: "domain", newName: "str?" }, { count: "i32" }],`. Fields
 * stand in wire order; the names are free, the type tokens are those of {@link Layout}. A struct
 * that is not known yet gets a line in `struct-layouts.ts`. Nothing else needs to change.
 */
export const procedures: Procedures = compileTable({
  ...connectProcedures,
  ...domainProcedures,
  ...networkProcedures,
  ...storageProcedures,
  ...eventProcedures,
});
