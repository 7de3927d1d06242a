import type { ImageStore } from "../backend/image-store.ts";
import type { ControllerContext, RunnableController } from "../controllers/controller-context.ts";
import type { EventRecorder } from "../controllers/event-recorder.ts";
import type { Fleet } from "../controllers/fleet.ts";
import type { Caches } from "../controllers/runtime/caches.ts";
import type { StorageRegistry } from "../controllers/storage-registry.ts";
import type { Uploads } from "../controllers/uploads.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import type { Clock } from "../util/clock.ts";
import type { Logger } from "../util/logger.ts";
import type { RandomSource } from "../util/random-source.ts";
import { type Token, token } from "./container.ts";

/** The parts of a platform. */
export const PARTS: {
  readonly clock: Token<Clock>;
  readonly random: Token<RandomSource>;
  readonly logger: Token<Logger>;
  readonly store: Token<ResourceStore>;
  readonly imageStore: Token<ImageStore | undefined>;
  readonly uploads: Token<Uploads>;
  readonly caches: Token<Caches>;
  readonly fleet: Token<Fleet>;
  readonly storages: Token<StorageRegistry>;
  readonly events: Token<EventRecorder>;
  readonly context: Token<ControllerContext>;
  readonly controllers: Token<readonly RunnableController[]>;
} = {
  clock: token("clock"),
  random: token("random"),
  logger: token("logger"),
  store: token("store"),
  imageStore: token("image-store"),
  uploads: token("uploads"),
  caches: token("caches"),
  fleet: token("fleet"),
  storages: token("storages"),
  events: token("events"),
  context: token("context"),
  controllers: token("controllers"),
};
