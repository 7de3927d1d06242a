import { createHash } from "node:crypto";
import type { Event } from "../api/event.ts";
import { DEFAULT_NAMESPACE, keyOf, type Resource } from "../api/meta.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import { type Clock, timestamp } from "../util/clock.ts";
import type { Logger } from "../util/logger.ts";
import { Controller, type ReconcileResult } from "./runtime/controller.ts";
import type { RunnableController } from "./controller-context.ts";

/** How long an event is kept after it was last seen, in milliseconds. */
const RETENTION = 3_600_000;

/** How often old events are looked for, in milliseconds. */
const SWEEP_INTERVAL = 60_000;

/** At most so many events are kept; the oldest go first. */
const MOST_EVENTS = 10_000;

/** At most so many different events wait to be written; of more than that only the number is told, in the log. */
const MOST_WAITING = 10_000;

/** What has happened. */
export interface EventNote {
  /** One CamelCase word; stable. Source: DVP, event reasons. */
  readonly reason: string;
  /** A sentence for a person. */
  readonly message: string;
  /** Default `Normal`. */
  readonly type?: "Normal" | "Warning";
}

/** Where controllers say what has happened. */
export interface EventSink {
  /** Never waits and never fails; the same said again counts up. */
  record(about: Resource, note: EventNote): void;
}

interface Waiting {
  readonly event: Omit<Event, "metadata" | "count">;
  readonly namespace: string;
  times: number;
}

const SWEEP = "";

/** Writes events as resources, each once with a count, and removes the old ones. */
export class EventRecorder implements EventSink, RunnableController {
  readonly name = "Event recorder";
  readonly #store: ResourceStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #controller: Controller;
  readonly #waiting = new Map<string, Waiting>();
  /** When each stored event was last seen, the oldest first; by key. */
  readonly #stored = new Map<string, number>();
  #loaded = false;
  #dropped = 0;

  constructor(parts: {
    readonly store: ResourceStore;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#store = parts.store;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#controller = new Controller({
      name: this.name,
      clock: parts.clock,
      logger: parts.logger,
      concurrency: 1,
      reconcile: (key) => (key === SWEEP ? this.#sweep() : this.#write(key)),
    });
  }

  record(about: Resource, { reason, message, type = "Normal" }: EventNote): void {
    const { metadata, kind, apiVersion } = about;
    const namespace = metadata.namespace ?? DEFAULT_NAMESPACE;
    const identity = JSON.stringify([metadata.uid, type, reason, message]);
    const hash = createHash("sha256").update(identity).digest("hex").slice(0, 16);
    const key = `${namespace}/${metadata.name.slice(0, 236)}.${hash}`;
    const before = this.#waiting.get(key);
    if (before === undefined && this.#waiting.size >= MOST_WAITING) {
      this.#dropped += 1;
      return;
    }
    const now = timestamp(this.#clock);
    this.#waiting.set(key, {
      namespace,
      times: (before?.times ?? 0) + 1,
      event: {
        apiVersion: "v1",
        kind: "Event",
        involvedObject: {
          apiVersion,
          kind,
          name: metadata.name,
          ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
          uid: metadata.uid,
        },
        type,
        reason,
        message,
        firstTimestamp: before?.event.firstTimestamp ?? now,
        lastTimestamp: now,
        reportingComponent: "polyvisor",
      },
    });
    this.#controller.enqueue(key);
  }

  run(signal: AbortSignal): Promise<void> {
    this.#controller.enqueue(SWEEP);
    return this.#controller.run(signal);
  }

  /** An earlier manager may have left some. */
  async #load(): Promise<void> {
    const { items } = await this.#store.list("Event");
    const seen = items.map(
      (event) => [keyOf(event.metadata), Date.parse(event.lastTimestamp)] as const,
    );
    this.#stored.clear();
    for (const [key, at] of seen.toSorted((a, b) => a[1] - b[1])) this.#stored.set(key, at);
    this.#loaded = true;
  }

  async #write(key: string): Promise<void> {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    const { event, namespace, times } = waiting;
    const name = key.slice(namespace.length + 1);
    const stored = await this.#store.get("Event", { namespace, name });
    if (stored === undefined) {
      await this.#store.create("Event", { ...event, metadata: { namespace, name }, count: times });
    } else {
      const { firstTimestamp, count, metadata } = stored;
      await this.#store.update("Event", {
        ...event,
        metadata,
        firstTimestamp,
        count: count + times,
      });
    }
    // What was said meanwhile stays.
    const present = this.#waiting.get(key);
    if (present === waiting) this.#waiting.delete(key);
    else if (present !== undefined) present.times -= times;
    this.#stored.delete(key);
    this.#stored.set(key, this.#clock.now());
    if (this.#stored.size > MOST_EVENTS) await this.#removeOldest();
  }

  async #sweep(): Promise<ReconcileResult> {
    if (!this.#loaded) await this.#load();
    if (this.#dropped > 0) {
      this.#logger.warn({ dropped: this.#dropped }, "events came too fast to keep them all");
      this.#dropped = 0;
    }
    for (const [, lastSeen] of this.#stored) {
      if (lastSeen + RETENTION > this.#clock.now()) break;
      await this.#removeOldest();
    }
    return { requeueAfter: SWEEP_INTERVAL };
  }

  async #removeOldest(): Promise<void> {
    const [key] = this.#stored.keys();
    if (key === undefined) return;
    const slash = key.indexOf("/");
    const where = { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
    if (await this.#store.get("Event", where)) await this.#store.delete("Event", where);
    this.#stored.delete(key);
  }
}
