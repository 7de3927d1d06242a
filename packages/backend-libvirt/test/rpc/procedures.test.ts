import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";

import { layoutCodec } from "../../src/rpc/codec.ts";
import {
  procedures,
  type DomainHandle,
  type Integer64,
  type Procedure,
  type ProcedureArguments,
  type ProcedureResult,
} from "../../src/rpc/index.ts";
import type { Layout } from "../../src/rpc/layout.ts";
import { blockProcedures } from "../../src/rpc/procedures/block-procedures.ts";
import { connectProcedures } from "../../src/rpc/procedures/connect-procedures.ts";
import { domainDeviceProcedures } from "../../src/rpc/procedures/domain-device-procedures.ts";
import { domainJobProcedures } from "../../src/rpc/procedures/domain-job-procedures.ts";
import { domainProcedures } from "../../src/rpc/procedures/domain-procedures.ts";
import { eventProcedures } from "../../src/rpc/procedures/event-procedures.ts";
import { guestAgentProcedures } from "../../src/rpc/procedures/guest-agent-procedures.ts";
import { hostInterfaceProcedures } from "../../src/rpc/procedures/host-interface-procedures.ts";
import { networkProcedures } from "../../src/rpc/procedures/network-procedures.ts";
import { nodeDeviceProcedures } from "../../src/rpc/procedures/node-device-procedures.ts";
import { nwfilterProcedures } from "../../src/rpc/procedures/nwfilter-procedures.ts";
import { qemuProcedures } from "../../src/rpc/procedures/qemu-procedures.ts";
import { secretProcedures } from "../../src/rpc/procedures/secret-procedures.ts";
import { storageProcedures } from "../../src/rpc/procedures/storage-procedures.ts";
import { isRpcError } from "../../src/rpc/rpc-error.ts";
import { structLayouts } from "../../src/rpc/struct-layouts.ts";
import { XdrReader } from "../../src/rpc/xdr-reader.ts";
import { XdrWriter } from "../../src/rpc/xdr-writer.ts";
import { failureOf, someDomain } from "./support.ts";

type Tables = Readonly<Record<string, readonly [number, string, Layout, Layout]>>;
const remoteTables: Tables = {
  ...blockProcedures,
  ...connectProcedures,
  ...domainDeviceProcedures,
  ...domainJobProcedures,
  ...domainProcedures,
  ...eventProcedures,
  ...guestAgentProcedures,
  ...hostInterfaceProcedures,
  ...networkProcedures,
  ...nodeDeviceProcedures,
  ...nwfilterProcedures,
  ...secretProcedures,
  ...storageProcedures,
};
const qemuTables: Tables = qemuProcedures;
const tables: Tables = { ...remoteTables, ...qemuTables };

const text = fc.string({ maxLength: 20 }).map((value) => value.replaceAll("\0", ""));
const unsigned = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const arbitraries: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  i32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  u32: unsigned,
  i64: fc.maxSafeInteger(),
  u64: fc.oneof(fc.maxSafeNat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n })),
  bool: fc.boolean(),
  str: text,
  uuid: fc.uuid(),
  tparam: fc.oneof(
    fc.record({ field: text, type: fc.constant("uint"), value: unsigned }),
    fc.record({ field: text, type: fc.constant("double"), value: fc.double() }),
    fc.record({ field: text, type: fc.constant("boolean"), value: fc.boolean() }),
    fc.record({ field: text, type: fc.constant("string"), value: text }),
    fc.record({ field: text, type: fc.constant("llong"), value: fc.maxSafeInteger() }),
  ),
};

function arbitraryOf(token: string): fc.Arbitrary<unknown> {
  if (token in arbitraries) return arbitraries[token]!;
  if (token.endsWith("?")) {
    return fc.option(arbitraryOf(token.slice(0, -1)), { nil: undefined });
  }
  if (/^(?:char4|opaque)</.test(token)) return fc.uint8Array({ maxLength: 20 });
  if (token.startsWith("char4[")) return fc.stringMatching(/^[a-z]{0,20}$/);
  const list = /^(.+)<(\d+)>$/.exec(token);
  if (list !== null) return fc.array(arbitraryOf(list[1]!), { maxLength: 4 });
  return recordOf(structLayouts[token as keyof typeof structLayouts]);
}

function recordOf(layout: Layout): fc.Arbitrary<unknown> {
  return fc.record(
    Object.fromEntries(Object.entries(layout).map(([name, token]) => [name, arbitraryOf(token)])),
  );
}

function encode(procedure: Procedure<unknown, unknown>, args: unknown): string {
  const writer = new XdrWriter();
  procedure.argumentsCodec.write(writer, args);
  return writer.finish().toString("hex");
}

describe("procedures", () => {
  it("have unique numbers and known priorities", () => {
    for (const rows of [remoteTables, qemuTables].map((table) => Object.values(table))) {
      expect(new Set(rows.map(([number]) => number)).size).toBe(rows.length);
    }
    expect(Object.keys(procedures)).toHaveLength(Object.keys(tables).length);
    for (const [, priority] of Object.values(tables)) expect(["high", "low"]).toContain(priority);
  });

  it.each(Object.entries(tables))("%s carries its arguments and result", (_name, row) => {
    for (const layout of [row[2], row[3]]) {
      const codec = layoutCodec(layout);
      fc.assert(
        fc.property(recordOf(layout), (value) => {
          const writer = new XdrWriter();
          codec.write(writer, value);
          const reader = new XdrReader(writer.finish());
          expect(codec.read(reader)).toEqual(value);
          expect(reader.remaining).toBe(0);
        }),
        { numRuns: 20 },
      );
    }
  });

  it("reject random payloads with a protocol error only", () => {
    const names = fc.constantFrom(...Object.keys(procedures)) as fc.Arbitrary<
      keyof typeof procedures
    >;
    const small = fc.array(fc.constantFrom(0, 0, 0, 1, 2, 3, 7, 255), { maxLength: 200 });
    fc.assert(
      fc.property(names, fc.oneof(fc.uint8Array({ maxLength: 200 }), small), (name, bytes) => {
        const failure = failureOf(() =>
          procedures[name].resultCodec.read(new XdrReader(Buffer.from(bytes))),
        );
        expect(failure).toSatisfy(
          (error) => error === undefined || isRpcError(error, "RPC_PROTOCOL"),
        );
      }),
      { numRuns: 3000 },
    );
  });

  it("match the bytes that libvirt expects", () => {
    expect(encode(procedures.domainGetState, { domain: someDomain, flags: 0 })).toBe(
      "00000003" + "77656200" + "00112233445566778899aabbccddeeff" + "00000007" + "00000000",
    );
    expect(encode(procedures.connectOpen, { flags: 1 })).toBe("00000000" + "00000001");
  });

  it("read node information with its character array of four bytes each", () => {
    const payload = Buffer.alloc(32 * 4 + 8 + 6 * 4);
    for (const [index, character] of Buffer.from("x86_64").entries()) {
      payload.writeUInt32BE(character, index * 4);
    }
    payload.writeBigUInt64BE(8_388_608n, 128);
    [4, 2400, 1, 1, 2, 2].forEach((value, index) => payload.writeInt32BE(value, 136 + index * 4));
    expect(procedures.nodeGetInfo.resultCodec.read(new XdrReader(payload))).toEqual({
      model: "x86_64",
      memory: 8_388_608,
      cpus: 4,
      mhz: 2400,
      nodes: 1,
      sockets: 1,
      cores: 2,
      threads: 2,
    });
  });

  it("have the types of their layouts", () => {
    type GetState = typeof procedures.domainGetState;
    expectTypeOf<ProcedureArguments<GetState>>().toEqualTypeOf<{
      readonly domain: DomainHandle;
      readonly flags: number;
    }>();
    type PoolInfo = ProcedureResult<typeof procedures.storagePoolGetInfo>;
    expectTypeOf<PoolInfo["capacity"]>().toEqualTypeOf<Integer64>();
    type OpenConsole = ProcedureArguments<typeof procedures.domainOpenConsole>;
    expectTypeOf<OpenConsole["deviceName"]>().toEqualTypeOf<string | undefined>();
    type List = ProcedureResult<typeof procedures.connectListAllDomains>;
    expectTypeOf<List["domains"]>().toEqualTypeOf<readonly DomainHandle[]>();
  });

  it("refuse a layout with an unknown type", () => {
    expect(() => layoutCodec({ field: "strange" })).toThrow(/"strange" is not a type/);
  });
});
