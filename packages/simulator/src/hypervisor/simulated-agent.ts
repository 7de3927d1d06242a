import { type Clock, type GuestAgent, PolyvisorError } from "@polyvisor/core";
import type { GuestEngine } from "../guests/guest-engine.ts";
import type { GuestRun } from "../guests/guest-run.ts";
import { pause } from "../time/pause.ts";
import type { GuestCalls } from "./guest-calls.ts";

/** Milliseconds that an agent is waited for. */
const AGENT_PATIENCE = 5_000;

/** Talks to the agents inside guests. */
export function simulatedAgent(options: {
  readonly calls: GuestCalls;
  readonly engine: GuestEngine;
  readonly clock: Clock;
}): GuestAgent {
  const { calls, engine, clock } = options;
  const answering = async (run: GuestRun, signal: AbortSignal): Promise<void> => {
    if (run.agentAnswers && run.power === "running") return;
    await pause(clock, AGENT_PATIENCE, signal);
    throw new PolyvisorError("POLYVISOR_UNAVAILABLE", `no agent answers in guest ${run.title}`);
  };
  return {
    info: (ref, host, signal) =>
      calls.onGuest({ verb: "agentInfo", ref, host }, signal, async (run) => {
        await answering(run, signal);
        const { interfaces, name } = run.spec;
        const addresses = interfaces.map(({ address }) => address);
        return { ...run.behaviour.os, supported: true, hostName: name, addresses };
      }),
    freeze: (ref, host, { timeoutSeconds, signal }) =>
      calls.onGuest({ verb: "freeze", ref, host }, signal, async (run) => {
        await answering(run, signal);
        if (run.behaviour.agent === "cannot-freeze") {
          const message = `the agent of guest ${run.title} cannot freeze its file systems`;
          throw new PolyvisorError("POLYVISOR_REFUSED", message);
        }
        engine.freeze(run, timeoutSeconds * 1000);
      }),
    thaw: (ref, host, signal) =>
      calls.onGuest({ verb: "thaw", ref, host }, signal, async (run) => {
        if (!run.frozen) return;
        await answering(run, signal);
        engine.thaw(run);
      }),
  };
}
