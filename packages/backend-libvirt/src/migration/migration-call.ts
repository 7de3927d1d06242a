import type { MigrationRequest } from "@polyvisor/core";
import type { LibvirtHost } from "../host/libvirt-host.ts";
import { procedures } from "../rpc/procedures.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";
import type { TypedParameter } from "../rpc/typed-parameter.ts";
import type { LibvirtMigrationOptions } from "./migration-options.ts";
import type { MigrationPlan } from "./migration-plan.ts";

/** Numbers of libvirt, `virDomainMigrateFlags`. */
const LIVE = 1;
const PEER_TO_PEER = 2;
const PERSIST_AT_TARGET = 8;
const UNDEFINE_AT_SOURCE = 16;
const COPY_DISKS = 64;
const UNSAFE = 512;
const ABORT_ON_ERROR = 4096;
const AUTO_CONVERGE = 8192;
const POST_COPY = 1 << 15;
const TLS = 1 << 16;
const PARALLEL = 1 << 17;

const MEBIBYTE = 2 ** 20;

/** Lets the source's daemon migrate a guest, and returns when it has ended either way. */
export async function callMigration(
  source: LibvirtHost,
  domain: DomainHandle,
  {
    peerUri,
    plan,
    request,
    options,
  }: {
    /** By which the source's daemon reaches the target's. */
    readonly peerUri: string;
    readonly plan: MigrationPlan;
    readonly request: MigrationRequest;
    readonly options: LibvirtMigrationOptions;
  },
  signal: AbortSignal,
): Promise<void> {
  await using connection = await source.connections.dedicated({ signal });
  await connection.call(
    procedures.domainMigratePerform3Params,
    {
      domain,
      destinationUri: peerUri,
      parameters: migrationParameters(plan, request, options),
      cookie: new Uint8Array(),
      flags: migrationFlags(plan, request, options),
    },
    { signal, deadlineMs: Infinity },
  );
}

function migrationFlags(
  plan: MigrationPlan,
  request: MigrationRequest,
  options: LibvirtMigrationOptions,
): number {
  return (
    LIVE |
    PEER_TO_PEER |
    PERSIST_AT_TARGET |
    UNDEFINE_AT_SOURCE |
    ABORT_ON_ERROR |
    (plan.copies.length > 0 ? COPY_DISKS : 0) |
    // libvirt cannot see that a folder is shared; the configuration says so.
    (plan.declaredShared ? UNSAFE : 0) |
    (request.autoConverge ? AUTO_CONVERGE : 0) |
    (options.postCopyAfterMilliseconds === undefined ? 0 : POST_COPY) |
    (options.tls === true ? TLS : 0) |
    (options.parallelConnections === undefined ? 0 : PARALLEL)
  );
}

function migrationParameters(
  { destinationXml, persistentXml, copies }: MigrationPlan,
  { bandwidthBytesPerSecond }: MigrationRequest,
  { parallelConnections }: LibvirtMigrationOptions,
): TypedParameter[] {
  const parameters: TypedParameter[] = [
    { field: "destination_xml", type: "string", value: destinationXml },
    { field: "persistent_xml", type: "string", value: persistentXml },
    ...copies.map(({ target }): TypedParameter => ({
      field: "migrate_disks",
      type: "string",
      value: target,
    })),
  ];
  if (bandwidthBytesPerSecond !== undefined) {
    // libvirt counts whole MiB, and takes 0 for no limit.
    const value = Math.max(Math.floor(bandwidthBytesPerSecond / MEBIBYTE), 1);
    parameters.push({ field: "bandwidth", type: "ullong", value });
  }
  if (parallelConnections !== undefined) {
    parameters.push({ field: "parallel.connections", type: "int", value: parallelConnections });
  }
  return parameters;
}
