import type { ConnectionPool } from "../rpc/connection-pool.ts";
import { events, type EventDefinition } from "../rpc/event-definitions.ts";
import type { EventSubscription } from "../rpc/event-subscription.ts";
import type { DomainHandle } from "../rpc/struct-layouts.ts";

/** What happens to the domains of a host, as far as this backend follows it. */
export type DomainEvent =
  /** Numbers of libvirt, `virDomainEventType` and the details of each. */
  | {
      readonly type: "lifecycle";
      readonly domain: DomainHandle;
      readonly event: number;
      readonly detail: number;
    }
  /** The guest asked for a reboot, for which it is ended. */
  | { readonly type: "guest-reset"; readonly domain: DomainHandle }
  /** The agent inside has come or gone. */
  | { readonly type: "agent"; readonly domain: DomainHandle }
  | { readonly type: "device-removed"; readonly domain: DomainHandle; readonly alias: string }
  /** The guest does not let go of a device. */
  | {
      readonly type: "device-removal-failed";
      readonly domain: DomainHandle;
      readonly alias: string;
    };

/** Told of every event in the order in which the daemon sent them. */
export interface DomainEventSink {
  onEvent(event: DomainEvent): void;
  /** Events were lost: whoever waits for one must ask instead. */
  onLost(): void;
}

/**
 * Follows the events of a host's domains on the connection that is kept for events.
 *
 * @param onReady - Called once everything that happens from then on is followed.
 * @returns never without an error: the reason why the events have ended.
 */
export async function followDomainEvents(
  pool: ConnectionPool,
  sink: DomainEventSink,
  { signal, onReady }: { readonly signal: AbortSignal; readonly onReady: () => Promise<void> },
): Promise<never> {
  const subscriptions: AsyncDisposable[] = [];
  const followed: Promise<void>[] = [];
  const follow = async <Payload>(
    definition: EventDefinition<Payload, unknown>,
    convert: (payload: Payload) => DomainEvent | undefined,
  ): Promise<void> => {
    const subscription = await pool.subscribe(definition, { signal });
    subscriptions.push(subscription);
    const done = deliver(subscription, convert, sink);
    // It is awaited below, and may fail before that.
    done.catch(() => {});
    followed.push(done);
  };
  try {
    const registered = await Promise.allSettled([
      follow(events.domainLifecycle, (payload) => ({ type: "lifecycle", ...payload })),
      follow(events.qemuMonitor, ({ domain, event, details }) =>
        event === "SHUTDOWN" && reasonOf(details) === "guest-reset"
          ? { type: "guest-reset", domain }
          : undefined,
      ),
      follow(events.domainAgentLifecycle, ({ domain }) => ({ type: "agent", domain })),
      follow(events.domainDeviceRemoved, ({ domain, deviceAlias: alias }) => ({
        type: "device-removed",
        domain,
        alias,
      })),
      follow(events.domainDeviceRemovalFailed, ({ domain, deviceAlias: alias }) => ({
        type: "device-removal-failed",
        domain,
        alias,
      })),
    ]);
    const failed = registered.find((each) => each.status === "rejected");
    if (failed) throw failed.reason;
    await onReady();
    await Promise.race(followed);
    throw new Error("the host has ended its events");
  } finally {
    await Promise.all(subscriptions.map((each) => each[Symbol.asyncDispose]()));
  }
}

async function deliver<Payload>(
  subscription: EventSubscription<Payload>,
  convert: (payload: Payload) => DomainEvent | undefined,
  sink: DomainEventSink,
): Promise<void> {
  for await (const item of subscription) {
    if (item.type === "overflow") sink.onLost();
    else {
      const event = convert(item.event);
      if (event) sink.onEvent(event);
    }
  }
}

/** `reason` of the details of QEMU's event SHUTDOWN. Source: QEMU QMP reference, SHUTDOWN. */
function reasonOf(details: string | undefined): unknown {
  try {
    return (JSON.parse(details ?? "{}") as { readonly reason?: unknown }).reason;
  } catch {
    return undefined;
  }
}
