import { layoutCodec, type Codec } from "./codec.ts";
import type { Layout, LayoutValue, TokenValue } from "./layout.ts";
import { procedures, type Procedure } from "./procedures.ts";
import { remoteProgram } from "./programs.ts";

const eventLayouts = {
  domainLifecycle: [318, "domain", 0, { domain: "domain", event: "i32", detail: "i32" }],
  domainReboot: [319, "domain", 1, { domain: "domain" }],
  domainDeviceRemoved: [333, "domain", 15, { domain: "domain", deviceAlias: "str" }],
  domainBlockJob: [
    339,
    "domain",
    16,
    { domain: "domain", disk: "str", type: "i32", status: "i32" },
  ],
  domainAgentLifecycle: [348, "domain", 18, { domain: "domain", state: "i32", reason: "i32" }],
  networkLifecycle: [315, "network", 0, { network: "network", event: "i32", detail: "i32" }],
  storagePoolLifecycle: [370, "pool", 0, { pool: "storagePool", event: "i32", detail: "i32" }],
} as const;

const subjectTokens = { domain: "domain", network: "network", pool: "storagePool" } as const;

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
    { name, program: remoteProgram, procedure, eventId, family, codec: layoutCodec(fields) },
  ]),
) as unknown as Events;

interface EventFamilyCalls {
  readonly register: Procedure<{ readonly eventId: number }, { readonly callbackId: number }>;
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
};
