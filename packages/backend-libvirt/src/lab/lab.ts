import type { EmbeddedHost, EmbeddedHostOptions } from "./embedded-host.ts";

/** Options of `startLab`. */
export interface LabOptions extends Pick<
  EmbeddedHostOptions,
  "install" | "timeoutMilliseconds" | "signal" | "onProgress"
> {
  /** Names of the hosts: 1 to 50, each of at most 12 letters, digits and inner hyphens. Default: `node-1` and `node-2`. */
  readonly hosts?: readonly string[] | undefined;
}

/** A host of a lab, and what can befall it. */
export interface LabHost extends EmbeddedHost {
  /** Its address on the network of the lab. */
  readonly address: string;
  /** Leads to its daemon over the network of the lab: a host that is cut off does not answer here. */
  readonly networkUri: string;
  /** By which the daemons of the other hosts reach its daemon. */
  readonly peerUri: string;

  /** Takes its cable out: packets from and to it are lost from now on. Its guests go on. */
  cutOff(): Promise<void>;

  /** Puts the cable in again. */
  rejoin(): Promise<void>;

  /** Stops every process of the host where it is, guests as well. */
  pause(): Promise<void>;

  /** Lets a paused host go on. */
  resume(): Promise<void>;

  /** Ends the host as a loss of power does. Its directory stays until it is disposed of. */
  kill(): Promise<void>;
}

/** Several hosts on a network of their own. Disposing of it leaves nothing behind. */
export interface Lab extends AsyncDisposable {
  /** In the order in which they were named. */
  readonly hosts: readonly LabHost[];
  /** A directory that every host sees under this path, as if a file server gave it. */
  readonly sharedDirectory: string;
}
