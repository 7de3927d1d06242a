import type { ImageStore } from "../backend/image-store.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import type { Clock } from "../util/clock.ts";
import type { Logger } from "../util/logger.ts";
import type { RandomSource } from "../util/random-source.ts";
import type { EventSink } from "./event-recorder.ts";
import type { Fleet } from "./fleet.ts";
import type { Caches } from "./runtime/caches.ts";
import type { StorageRegistry } from "./storage-registry.ts";
import type { Uploads } from "./uploads.ts";

/** What every controller works with. */
export interface ControllerContext {
  readonly store: ResourceStore;
  readonly caches: Caches;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly logger: Logger;
  /** Where to say what has happened to a resource. */
  readonly events: EventSink;
  readonly fleet: Fleet;
  readonly storages: StorageRegistry;
  /** Absent when the platform was made without one: images then stay Pending and say so. */
  readonly imageStore: ImageStore | undefined;
  /** What users send as images and disks. */
  readonly uploads: Uploads;
}

/** A controller as the platform runs it. */
export interface RunnableController {
  readonly name: string;
  run(signal: AbortSignal): Promise<void>;
}
