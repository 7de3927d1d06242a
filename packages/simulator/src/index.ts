export type {
  ClusterControls,
  DataCenter,
  GuestControls,
  HostControls,
  StorageControls,
} from "./data-center.ts";
export type { DataCenterOptions } from "./data-center-options.ts";
export type { EventLog } from "./event-log.ts";
export {
  type CallFault,
  type Failure,
  type Fault,
  type Happening,
  type Verb,
  VERBS,
} from "./faults/fault.ts";
export type { FenceOptions } from "./fencing/simulated-fencing.ts";
export type { GuestBehaviour } from "./guests/guest-behaviour.ts";
export type { HostOptions } from "./hosts/host-options.ts";
export type { ImageOptions } from "./images/image-options.ts";
export type { CutLoss } from "./network/network.ts";
export { simulateDataCenter } from "./simulate-data-center.ts";
export type { StorageClassOptions, StorageOptions } from "./storage/storage-options.ts";
export type { Duration } from "./time/duration.ts";
export { VirtualClock } from "./time/virtual-clock.ts";
