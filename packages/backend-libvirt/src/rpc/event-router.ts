import type { InternalCallOptions } from "./call-queue.ts";
import { eventFamilies, type EventDefinition } from "./event-definitions.ts";
import { BufferedSubscription, type EventSubscription } from "./event-subscription.ts";
import type { Frame } from "./frame.ts";
import type { RpcLogger } from "./logger.ts";
import type { Procedure } from "./procedures.ts";
import { isRpcError, RpcError } from "./rpc-error.ts";
import { XdrReader } from "./xdr-reader.ts";

/** Options of a subscription. */
export interface SubscribeOptions<Subject> {
  /** Only events of this domain, network or pool; default all. */
  readonly subject?: Subject | undefined;
  /** Events to hold for a slow consumer; default 1024, at least 1. */
  readonly bufferSize?: number | undefined;
  /** Gives up while the registration is under way. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for the registration; default that of the connection. */
  readonly deadlineMs?: number | undefined;
}

interface EarlyEvent {
  readonly callbackId: number;
  readonly event: unknown;
}

interface EventChannel {
  readonly definition: EventDefinition<unknown, unknown>;
  readonly subscriptions: Map<number, BufferedSubscription<unknown>>;
  /** Events whose registration has not been answered yet. */
  early: EarlyEvent[];
  earlyLost: boolean;
  registering: number;
}

interface EventRouterHooks {
  call<Arguments, Result>(
    procedure: Procedure<Arguments, Result>,
    args: Arguments,
    options: InternalCallOptions<Result>,
  ): Promise<Result>;
  readonly logger: RpcLogger;
}

const maxEarlyEvents = 1024;
const deregisterDeadlineMs = 5000;

/**
 * Routes event messages to their subscriptions.
 *
 * Callback numbers are unique within a driver only, so that the domain and the network family may
 * use the same one: the key is program, procedure and callback number.
 */
export class EventRouter {
  readonly #hooks: EventRouterHooks;
  readonly #channels = new Map<string, EventChannel>();
  #endReason: RpcError | undefined;

  constructor(hooks: EventRouterHooks) {
    this.#hooks = hooks;
  }

  /** Subscribes; see `LibvirtConnection.subscribe`. */
  async subscribe<Payload, Subject>(
    definition: EventDefinition<Payload, Subject>,
    { subject, bufferSize = 1024, signal, deadlineMs }: SubscribeOptions<Subject>,
  ): Promise<EventSubscription<Payload>> {
    if (!Number.isSafeInteger(bufferSize) || bufferSize < 1) {
      throw new RpcError("RPC_INVALID_ARGUMENT", "The bufferSize must be a positive integer.");
    }
    const channel = this.#channel(definition);
    let attached: BufferedSubscription<Payload> | undefined;
    const { register } = eventFamilies[definition.family];
    const filter = { eventId: definition.eventId, flags: 0, [definition.family]: subject };
    channel.registering += 1;
    try {
      await this.#hooks.call(register, filter, {
        signal,
        deadlineMs,
        onReply: ({ callbackId }, _serial, abandoned) => {
          if (abandoned) this.#deregisterLater(definition, callbackId);
          else attached = this.#attach(channel, callbackId, bufferSize);
        },
      });
    } finally {
      channel.registering -= 1;
      if (channel.registering === 0) {
        channel.early = [];
        channel.earlyLost = false;
      }
    }
    return attached!;
  }

  /**
   * Hands an event message to its subscription.
   *
   * @throws RpcError `RPC_PROTOCOL` when a known event is malformed.
   */
  dispatch(frame: Frame): void {
    const channel = this.#channels.get(key(frame.program, frame.procedure));
    if (channel === undefined) {
      return this.#hooks.logger.debug(
        `Ignored a message of program ${frame.program}, procedure ${frame.procedure}.`,
      );
    }
    const reader = new XdrReader(frame.payload);
    const callbackId = reader.readInt();
    const subscription = channel.subscriptions.get(callbackId);
    if (subscription === undefined && channel.registering === 0) return;
    const event = channel.definition.codec.read(reader);
    reader.expectEnd();
    if (subscription !== undefined) return subscription.push(event);
    if (channel.early.length < maxEarlyEvents) channel.early.push({ callbackId, event });
    else channel.earlyLost = true;
  }

  /** Ends every subscription with the reason. */
  end(reason: RpcError): void {
    this.#endReason = reason;
    for (const channel of this.#channels.values()) {
      for (const subscription of channel.subscriptions.values()) subscription.end(reason);
      channel.subscriptions.clear();
    }
  }

  #channel(definition: EventDefinition<unknown, unknown>): EventChannel {
    const name = key(definition.program, definition.procedure);
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = {
        definition,
        subscriptions: new Map(),
        early: [],
        earlyLost: false,
        registering: 0,
      };
      this.#channels.set(name, channel);
    }
    return channel;
  }

  #attach<Payload>(
    channel: EventChannel,
    callbackId: number,
    bufferSize: number,
  ): BufferedSubscription<Payload> {
    const subscription = new BufferedSubscription<Payload>(bufferSize, async () => {
      channel.subscriptions.delete(callbackId);
      if (this.#endReason === undefined) await this.#deregister(channel.definition, callbackId);
    });
    channel.subscriptions.set(callbackId, subscription as BufferedSubscription<unknown>);
    for (const early of channel.early) {
      if (early.callbackId === callbackId) subscription.push(early.event as Payload);
    }
    if (channel.earlyLost) subscription.overflow();
    return subscription;
  }

  async #deregister(
    definition: EventDefinition<unknown, unknown>,
    callbackId: number,
  ): Promise<void> {
    try {
      await this.#hooks.call(
        eventFamilies[definition.family].deregister,
        { callbackId },
        { deadlineMs: deregisterDeadlineMs },
      );
    } catch (error) {
      // Events of an unknown callback are dropped, so a failed deregistration costs only traffic.
      this.#hooks.logger.debug(`Could not deregister ${definition.name}: ${describe(error)}`);
    }
  }

  #deregisterLater(definition: EventDefinition<unknown, unknown>, callbackId: number): void {
    void this.#deregister(definition, callbackId);
  }
}

function key(program: number, procedure: number): string {
  return `${program}/${procedure}`;
}

function describe(error: unknown): string {
  return isRpcError(error) ? error.code : String(error);
}
