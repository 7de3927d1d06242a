import { layoutCodec, type Codec } from "./codec.ts";
import type { Layout, LayoutValue, TokenValue } from "./layout.ts";
import { procedures, type Procedure } from "./procedures.ts";
import { qemuProgram, remoteProgram } from "./programs.ts";

const eventLayouts = {
  domainLifecycle: [318, "domain", 0, { domain: "domain", event: "i32", detail: "i32" }],
  domainReboot: [319, "domain", 1, { domain: "domain" }],
  domainRtcChange: [320, "domain", 2, { domain: "domain", offset: "i64" }],
  domainWatchdog: [321, "domain", 3, { domain: "domain", action: "i32" }],
  domainIoError: [
    322,
    "domain",
    4,
    { domain: "domain", sourcePath: "str", deviceAlias: "str", action: "i32" },
  ],
  domainGraphics: [
    323,
    "domain",
    5,
    {
      domain: "domain",
      phase: "i32",
      local: "graphicsAddress",
      remote: "graphicsAddress",
      authScheme: "str",
      subject: "graphicsIdentity<20>",
    },
  ],
  domainIoErrorReason: [
    324,
    "domain",
    6,
    { domain: "domain", sourcePath: "str", deviceAlias: "str", action: "i32", reason: "str" },
  ],
  domainControlError: [325, "domain", 7, { domain: "domain" }],
  /** Superseded by `domainBlockJob`, which names the disk by its target. */
  domainBlockJobOfPath: [
    326,
    "domain",
    8,
    { domain: "domain", path: "str", type: "i32", status: "i32" },
  ],
  domainDiskChange: [
    327,
    "domain",
    9,
    {
      domain: "domain",
      oldSourcePath: "str?",
      newSourcePath: "str?",
      deviceAlias: "str",
      reason: "i32",
    },
  ],
  domainTrayChange: [328, "domain", 10, { domain: "domain", deviceAlias: "str", reason: "i32" }],
  domainPmWakeup: [329, "domain", 11, { reason: "i32", domain: "domain" }],
  domainPmSuspend: [330, "domain", 12, { reason: "i32", domain: "domain" }],
  domainBalloonChange: [331, "domain", 13, { domain: "domain", actual: "u64" }],
  domainPmSuspendDisk: [332, "domain", 14, { reason: "i32", domain: "domain" }],
  domainDeviceRemoved: [333, "domain", 15, { domain: "domain", deviceAlias: "str" }],
  domainBlockJob: [
    339,
    "domain",
    16,
    { domain: "domain", disk: "str", type: "i32", status: "i32" },
  ],
  domainTunable: [346, "domain", 17, { domain: "domain", parameters: "tparam<2048>" }],
  domainAgentLifecycle: [348, "domain", 18, { domain: "domain", state: "i32", reason: "i32" }],
  domainDeviceAdded: [354, "domain", 19, { domain: "domain", deviceAlias: "str" }],
  domainMigrationIteration: [359, "domain", 20, { domain: "domain", iteration: "i32" }],
  domainJobCompleted: [363, "domain", 21, { domain: "domain", parameters: "tparam<64>" }],
  domainDeviceRemovalFailed: [367, "domain", 22, { domain: "domain", deviceAlias: "str" }],
  domainMetadataChange: [379, "domain", 23, { domain: "domain", type: "i32", uri: "str?" }],
  domainBlockThreshold: [
    385,
    "domain",
    24,
    { domain: "domain", device: "str", path: "str?", threshold: "u64", excess: "u64" },
  ],
  domainMemoryFailure: [
    423,
    "domain",
    25,
    { domain: "domain", recipient: "i32", action: "i32", flags: "u32" },
  ],
  domainMemoryDeviceSize: [438, "domain", 26, { domain: "domain", alias: "str", size: "u64" }],
  /** Of libvirt 11.2 and newer. */
  domainNicMacChange: [
    453,
    "domain",
    27,
    { domain: "domain", alias: "str", oldMac: "str", newMac: "str" },
  ],
  networkLifecycle: [315, "network", 0, { network: "network", event: "i32", detail: "i32" }],
  storagePoolLifecycle: [370, "pool", 0, { pool: "storagePool", event: "i32", detail: "i32" }],
  storagePoolRefresh: [373, "pool", 1, { pool: "storagePool" }],
  nodeDeviceLifecycle: [
    376,
    "nodeDevice",
    0,
    { nodeDevice: "nodeDevice", event: "i32", detail: "i32" },
  ],
  nodeDeviceUpdate: [377, "nodeDevice", 1, { nodeDevice: "nodeDevice" }],
  secretLifecycle: [382, "secret", 0, { secret: "secret", event: "i32", detail: "i32" }],
  secretValueChanged: [383, "secret", 1, { secret: "secret" }],
  /** Every event of QEMU's monitor; `details` is JSON. Meant for debugging (qemu_protocol.x). */
  qemuMonitor: [
    6,
    "qemuMonitor",
    0,
    { domain: "domain", event: "str", seconds: "i64", microseconds: "u32", details: "str?" },
  ],
} as const;

const subjectTokens = {
  domain: "domain",
  network: "network",
  pool: "storagePool",
  nodeDevice: "nodeDevice",
  secret: "secret",
  qemuMonitor: "domain",
} as const;

/** The families of events: each has its own registration calls and its own callback numbers. */
export type EventFamily = keyof typeof subjectTokens;

/** One kind of event that a connection can subscribe to. */
export interface EventDefinition<Payload, Subject> {
  readonly name: string;
  readonly program: number;
  /** Procedure number of the event's messages. */
  readonly procedure: number;
  readonly eventId: number;
  readonly family: EventFamily;
  readonly codec: Codec<Payload>;
  /** Type only: what a subscription can be narrowed to. */
  readonly subject?: Subject;
}

/** The type of {@link events}. */
export type Events = {
  readonly [Name in keyof typeof eventLayouts]: (typeof eventLayouts)[Name] extends readonly [
    number,
    infer Family extends EventFamily,
    number,
    infer Fields,
  ]
    ? EventDefinition<LayoutValue<Fields>, TokenValue<(typeof subjectTokens)[Family]>>
    : never;
};

type EventRow = readonly [number, EventFamily, number, Layout];

/**
 * The events that this client knows, by name (remote_protocol.x).
 *
 * @remarks
 * To add one, add its row to `eventLayouts`: the procedure number of its messages, its family,
 * its event number and its fields in wire order without the leading callback number.
 */
export const events: Events = Object.fromEntries(
  Object.entries<EventRow>(eventLayouts).map(([name, [procedure, family, eventId, fields]]) => [
    name,
    {
      name,
      program: family === "qemuMonitor" ? qemuProgram : remoteProgram,
      procedure,
      eventId,
      family,
      codec: layoutCodec(fields),
    },
  ]),
) as unknown as Events;

interface EventFamilyCalls {
  /** Takes `eventId`, or `flags` for events of the monitor, and the subject under the name of the family. */
  readonly register: Procedure<object, { readonly callbackId: number }>;
  readonly deregister: Procedure<{ readonly callbackId: number }, unknown>;
}

/** How each family is subscribed to; the filter field has the family's name. */
export const eventFamilies: Readonly<Record<EventFamily, EventFamilyCalls>> = {
  domain: {
    register: procedures.connectDomainEventCallbackRegisterAny,
    deregister: procedures.connectDomainEventCallbackDeregisterAny,
  },
  network: {
    register: procedures.connectNetworkEventRegisterAny,
    deregister: procedures.connectNetworkEventDeregisterAny,
  },
  pool: {
    register: procedures.connectStoragePoolEventRegisterAny,
    deregister: procedures.connectStoragePoolEventDeregisterAny,
  },
  nodeDevice: {
    register: procedures.connectNodeDeviceEventRegisterAny,
    deregister: procedures.connectNodeDeviceEventDeregisterAny,
  },
  secret: {
    register: procedures.connectSecretEventRegisterAny,
    deregister: procedures.connectSecretEventDeregisterAny,
  },
  qemuMonitor: {
    register: procedures.qemuMonitorEventRegister,
    deregister: procedures.qemuMonitorEventDeregister,
  },
};
