import { PolyvisorError } from "@polyvisor/core";
import type { LibvirtHost } from "../host/libvirt-host.ts";

/** What a guest answers when it is asked to let go of a device. */
export type RemovalAnswer = "removed" | "refused" | "silent" | "unknown";

/**
 * Waits for a guest's answer from before it is asked: `silent` when none came in time, `unknown` when events were lost.
 * The asking happens in `ask`; when it fails, so does this.
 */
export async function removalAnswer(
  host: LibvirtHost,
  device: { readonly uuid: string; readonly alias: string },
  options: {
    readonly ask: () => Promise<void>;
    readonly patienceMilliseconds: number;
    readonly signal: AbortSignal;
  },
): Promise<RemovalAnswer> {
  const { ask, patienceMilliseconds, signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<RemovalAnswer>();
  const stopListening = host.listen((event) => {
    if (event.type === "lost") return resolve("unknown");
    if (event.domain.uuid !== device.uuid || !("alias" in event)) return;
    if (event.alias !== device.alias) return;
    resolve(event.type === "device-removed" ? "removed" : "refused");
  });
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  let timer: NodeJS.Timeout | undefined;
  try {
    signal.throwIfAborted();
    await ask();
    timer = setTimeout(() => resolve("silent"), patienceMilliseconds);
    return await promise;
  } finally {
    clearTimeout(timer);
    stopListening();
    signal.removeEventListener("abort", onAbort);
    // After a failed request nobody waits for the answer.
    promise.catch(() => {});
  }
}

/** The error for a device that is still there. */
export function stillThere(answer: RemovalAnswer, device: string): PolyvisorError {
  return answer === "refused"
    ? new PolyvisorError("POLYVISOR_REFUSED", `the guest does not let go of ${device}`)
    : new PolyvisorError(
        "POLYVISOR_TIMEOUT",
        `the guest has not let go of ${device} yet: ask again, or end its use in the guest first`,
      );
}
