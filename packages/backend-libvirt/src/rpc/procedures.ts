import { layoutCodec, type Codec } from "./codec.ts";
import type { Layout, LayoutValue } from "./layout.ts";
import { blockProcedures } from "./procedures/block-procedures.ts";
import { connectProcedures } from "./procedures/connect-procedures.ts";
import { domainDeviceProcedures } from "./procedures/domain-device-procedures.ts";
import { domainJobProcedures } from "./procedures/domain-job-procedures.ts";
import { domainProcedures } from "./procedures/domain-procedures.ts";
import { eventProcedures } from "./procedures/event-procedures.ts";
import { guestAgentProcedures } from "./procedures/guest-agent-procedures.ts";
import { hostInterfaceProcedures } from "./procedures/host-interface-procedures.ts";
import { networkProcedures } from "./procedures/network-procedures.ts";
import { nodeDeviceProcedures } from "./procedures/node-device-procedures.ts";
import { nwfilterProcedures } from "./procedures/nwfilter-procedures.ts";
import { qemuProcedures } from "./procedures/qemu-procedures.ts";
import { secretProcedures } from "./procedures/secret-procedures.ts";
import { storageProcedures } from "./procedures/storage-procedures.ts";
import { qemuProgram, remoteProgram } from "./programs.ts";

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
  program: number,
  table: Table,
): CompiledTable<Table> {
  const entries = Object.entries(table).map(([name, [number, priority, input, output]]) => [
    name,
    {
      name,
      program,
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
    typeof domainDeviceProcedures &
    typeof domainJobProcedures &
    typeof blockProcedures &
    typeof guestAgentProcedures &
    typeof networkProcedures &
    typeof nwfilterProcedures &
    typeof storageProcedures &
    typeof hostInterfaceProcedures &
    typeof nodeDeviceProcedures &
    typeof secretProcedures &
    typeof eventProcedures &
    typeof qemuProcedures
>;

/** The name of a known procedure. */
export type ProcedureName = keyof Procedures;

/**
 * The procedures that this client knows, by name: those of the REMOTE program (remote_protocol.x), and with the prefix
 * `qemu` those of the QEMU program (qemu_protocol.x). Procedures that pass file descriptors are left out: a Node socket
 * cannot take them.
 *
 * @remarks
 * To add one, add its row to the table of its area in `procedures/`:
 * `domainRename: [358, "low", { domain: "domain", newName: "str?" }, { count: "i32" }],`. Fields
 * stand in wire order; the names are free, the type tokens are those of {@link Layout}. A struct
 * that is not known yet gets a line in `struct-layouts.ts`. Nothing else needs to change.
 */
export const procedures: Procedures = {
  ...compileTable(remoteProgram, {
    ...connectProcedures,
    ...domainProcedures,
    ...domainDeviceProcedures,
    ...domainJobProcedures,
    ...blockProcedures,
    ...guestAgentProcedures,
    ...networkProcedures,
    ...nwfilterProcedures,
    ...storageProcedures,
    ...hostInterfaceProcedures,
    ...nodeDeviceProcedures,
    ...secretProcedures,
    ...eventProcedures,
  }),
  ...compileTable(qemuProgram, qemuProcedures),
};
