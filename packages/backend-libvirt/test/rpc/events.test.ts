import { describe, expect, it } from "vitest";

import { events, procedures, type EventItem } from "../../src/rpc/index.ts";
import { connect, rejection, someDomain, startDaemon, until } from "./support.ts";

const someNetwork = { name: "lan", uuid: someDomain.uuid } as const;

async function take<Payload>(
  iterable: AsyncIterable<EventItem<Payload>>,
  count: number,
): Promise<EventItem<Payload>[]> {
  const iterator = iterable[Symbol.asyncIterator]();
  const items: EventItem<Payload>[] = [];
  while (items.length < count) {
    const result = await iterator.next();
    if (result.done === true) break;
    items.push(result.value);
  }
  return items;
}

function lifecycle(event: number) {
  return { domain: someDomain, event, detail: 0 };
}

describe("subscriptions", () => {
  it("register for the event and its subject, and deregister when left", async () => {
    const registered: unknown[] = [];
    const deregistered: unknown[] = [];
    const daemon = await startDaemon({
      handlers: {
        connectDomainEventCallbackRegisterAny: (args) => {
          registered.push(args);
          return { callbackId: 6 };
        },
        connectDomainEventCallbackDeregisterAny: (args) => {
          deregistered.push(args);
          return {};
        },
      },
    });
    const connection = await connect(daemon);
    const subscription = await connection.subscribe(events.domainDeviceRemoved, {
      subject: someDomain,
    });
    const removed = { domain: someDomain, deviceAlias: "virtio-disk1" };
    daemon.emit(events.domainDeviceRemoved, 6, removed);
    for await (const item of subscription) {
      expect(item).toEqual({ type: "event", event: removed });
      break;
    }
    expect(registered).toEqual([{ eventId: 15, domain: someDomain }]);
    expect(deregistered).toEqual([{ callbackId: 6 }]);
    expect(await take(subscription, 1)).toEqual([]);
  });

  it("keep families with the same callback number apart", async () => {
    const daemon = await startDaemon({
      handlers: {
        connectDomainEventCallbackRegisterAny: () => ({ callbackId: 0 }),
        connectNetworkEventRegisterAny: () => ({ callbackId: 0 }),
        connectStoragePoolEventRegisterAny: () => ({ callbackId: 0 }),
      },
    });
    const connection = await connect(daemon);
    const domains = await connection.subscribe(events.domainLifecycle);
    const reboots = await connection.subscribe(events.domainReboot);
    const networks = await connection.subscribe(events.networkLifecycle);
    const pools = await connection.subscribe(events.storagePoolLifecycle);
    const networkEvent = { network: someNetwork, event: 2, detail: 0 };
    const poolEvent = { pool: someNetwork, event: 3, detail: 0 };
    daemon.emit(events.storagePoolLifecycle, 0, poolEvent);
    daemon.emit(events.networkLifecycle, 0, networkEvent);
    daemon.emit(events.domainReboot, 0, { domain: someDomain });
    daemon.emit(events.domainLifecycle, 0, lifecycle(2));
    daemon.emit(events.domainLifecycle, 9, lifecycle(5));
    daemon.emit(events.domainLifecycle, 0, lifecycle(3));
    expect(await take(domains, 2)).toEqual([
      { type: "event", event: lifecycle(2) },
      { type: "event", event: lifecycle(3) },
    ]);
    expect(await take(reboots, 1)).toEqual([{ type: "event", event: { domain: someDomain } }]);
    expect(await take(networks, 1)).toEqual([{ type: "event", event: networkEvent }]);
    expect(await take(pools, 1)).toEqual([{ type: "event", event: poolEvent }]);
  });

  it("keep events that come before the reply to the registration", async () => {
    const daemon = await startDaemon({
      handlers: {
        connectDomainEventCallbackRegisterAny: () => {
          daemon.emit(events.domainLifecycle, 4, lifecycle(4));
          daemon.emit(events.domainLifecycle, 5, lifecycle(9));
          daemon.emit(events.domainLifecycle, 4, lifecycle(2));
          return { callbackId: 4 };
        },
      },
    });
    const connection = await connect(daemon);
    const subscription = await connection.subscribe(events.domainLifecycle);
    daemon.emit(events.domainLifecycle, 4, lifecycle(5));
    const items = await take(subscription, 3);
    expect(items.map((item) => item.type === "event" && item.event.event)).toEqual([4, 2, 5]);
  });

  it("tell a slow consumer once to list anew, then go on with what follows", async () => {
    const daemon = await startDaemon({
      handlers: { connectDomainEventCallbackRegisterAny: () => ({ callbackId: 1 }) },
    });
    const connection = await connect(daemon);
    const subscription = await connection.subscribe(events.domainLifecycle, { bufferSize: 10 });
    for (let index = 0; index < 25; index++) {
      daemon.emit(events.domainLifecycle, 1, lifecycle(index));
    }
    await connection.call(procedures.connectGetHostname, {});
    const items = await take(subscription, 7);
    expect(items[0]).toEqual({ type: "overflow" });
    expect(items.slice(1).map((item) => item.type === "event" && item.event.event)).toEqual([
      19, 20, 21, 22, 23, 24,
    ]);
  });

  it("tell of events lost before the registration was answered", async () => {
    const daemon = await startDaemon({
      handlers: {
        connectDomainEventCallbackRegisterAny: () => {
          for (let index = 0; index < 1500; index++) {
            daemon.emit(events.domainLifecycle, 4, lifecycle(index));
          }
          return { callbackId: 4 };
        },
      },
    });
    const connection = await connect(daemon);
    const subscription = await connection.subscribe(events.domainLifecycle, { bufferSize: 5000 });
    expect(await take(subscription, 1)).toEqual([{ type: "overflow" }]);
  });

  it("deregister again when the registration was given up", async () => {
    const release = Promise.withResolvers<void>();
    const deregistered: unknown[] = [];
    const daemon = await startDaemon({
      handlers: {
        connectDomainEventCallbackRegisterAny: async () => {
          await release.promise;
          return { callbackId: 8 };
        },
        connectDomainEventCallbackDeregisterAny: (args) => {
          deregistered.push(args);
          return {};
        },
      },
    });
    const connection = await connect(daemon);
    const signal = AbortSignal.timeout(20);
    const error = await rejection(connection.subscribe(events.domainLifecycle, { signal }));
    expect(error).toMatchObject({ code: "RPC_ABORTED" });
    release.resolve();
    await until(() => deregistered.length === 1);
    expect(deregistered).toEqual([{ callbackId: 8 }]);
  });

  it("end without an error when disposed, also while a consumer waits", async () => {
    const daemon = await startDaemon({
      handlers: {
        connectDomainEventCallbackRegisterAny: () => ({ callbackId: 1 }),
        connectDomainEventCallbackDeregisterAny: () => ({}),
      },
    });
    const connection = await connect(daemon);
    const subscription = await connection.subscribe(events.domainLifecycle);
    const next = subscription[Symbol.asyncIterator]().next();
    await subscription[Symbol.asyncDispose]();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it("refuse a buffer without room", async () => {
    const connection = await connect(await startDaemon());
    const subscription = connection.subscribe(events.domainLifecycle, { bufferSize: 0 });
    expect(await rejection(subscription)).toMatchObject({ code: "RPC_INVALID_ARGUMENT" });
  });
});
