import type { GuestAgentInfo } from "@polyvisor/core";
import { globMatcher } from "../faults/glob.ts";
import { type Duration, readDuration } from "../time/duration.ts";

/** How a guest behaves. */
export interface GuestBehaviour {
  /** From the start until the operating system is up. Default 20 s. */
  readonly boot?: Duration;
  /** From the request to shut down, or to reboot, until it has ended. Default 5 s. */
  readonly shutDown?: Duration;
  /** True for a guest that does not follow a request to shut down. Default false. */
  readonly ignoresShutDown?: boolean;
  /** The agent inside: there is none, it answers, it does not answer, or it cannot freeze. Default `works`. */
  readonly agent?: "none" | "works" | "silent" | "cannot-freeze";
  /** How much of its memory a second is written, in bytes. Default 20 MiB. */
  readonly dirtyBytesPerSecond?: number;
  /** What becomes of a request to let go of a disk. Default `agrees`. */
  readonly unplug?: "agrees" | "refuses" | "silent";
  /** What its agent tells of the operating system. */
  readonly os?: Partial<Omit<GuestAgentInfo, "addresses" | "supported">>;
}

/** {@link GuestBehaviour} with nothing left open, and times in milliseconds. */
export interface KnownBehaviour {
  readonly boot: number;
  readonly shutDown: number;
  readonly ignoresShutDown: boolean;
  readonly agent: "none" | "works" | "silent" | "cannot-freeze";
  readonly dirtyBytesPerSecond: number;
  readonly unplug: "agrees" | "refuses" | "silent";
  readonly os: Omit<GuestAgentInfo, "addresses" | "supported" | "hostName">;
}

const USUAL: KnownBehaviour = {
  boot: 20_000,
  shutDown: 5_000,
  ignoresShutDown: false,
  agent: "works",
  dirtyBytesPerSecond: 20 * 2 ** 20,
  unplug: "agrees",
  os: {
    version: "8.2.2",
    osName: "Ubuntu",
    osVersion: "22.04.4 LTS (Jammy Jellyfish)",
    kernelRelease: "5.15.0-116-generic",
  },
};

/** How guests behave, told by `namespace/name`. */
export class Behaviours {
  readonly #rules: { readonly fits: (guest: string) => boolean; readonly known: KnownBehaviour }[];

  /** @param options By pattern of `namespace/name`, in which `*` stands for any letters; the first that fits holds. */
  constructor(options: Readonly<Record<string, GuestBehaviour>>) {
    this.#rules = Object.entries(options).map(([pattern, behaviour]) => ({
      fits: globMatcher(pattern),
      known: completed(behaviour, `guests[${JSON.stringify(pattern)}]`),
    }));
  }

  of(guest: string): KnownBehaviour {
    return this.#rules.find(({ fits }) => fits(guest))?.known ?? USUAL;
  }
}

function completed(behaviour: GuestBehaviour, field: string): KnownBehaviour {
  const { boot, shutDown, os, ...rest } = behaviour;
  return {
    ...USUAL,
    ...rest,
    ...(boot !== undefined && { boot: readDuration(boot, `${field}.boot`) }),
    ...(shutDown !== undefined && { shutDown: readDuration(shutDown, `${field}.shutDown`) }),
    os: { ...USUAL.os, ...os },
  };
}
