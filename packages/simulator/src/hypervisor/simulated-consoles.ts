import { type Consoles, type GuestRef, PolyvisorError } from "@polyvisor/core";
import type { GuestEngine } from "../guests/guest-engine.ts";
import { GuestScreen } from "../guests/guest-screen.ts";
import type { GuestCalls } from "./guest-calls.ts";

/** Opens consoles of guests. */
export function simulatedConsoles(calls: GuestCalls, engine: GuestEngine): Consoles {
  return {
    openSerial: (ref, { signal }) =>
      calls.onGuest({ verb: "openSerial", ref }, signal, (run) => engine.openConsole(run)),
    openVnc: (ref, { signal }) =>
      calls.onGuest({ verb: "openVnc", ref }, signal, (run) => new GuestScreen(run.title)),
  };
}

/** What the opening of a console of a guest that does not run fails with. */
export function noConsole({ uid }: GuestRef): PolyvisorError {
  return new PolyvisorError(
    "POLYVISOR_NOT_FOUND",
    `guest ${uid} does not run on a host that answers`,
  );
}
