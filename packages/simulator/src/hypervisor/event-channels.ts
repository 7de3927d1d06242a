import { BoundedChannel, type HypervisorEvent, PolyvisorError } from "@polyvisor/core";

/** Events that a watch may fall behind. */
const CAPACITY = 100_000;

/** Everyone who watches a hypervisor. */
export class EventChannels {
  readonly #channels = new Set<BoundedChannel<HypervisorEvent>>();

  open(signal: AbortSignal): AsyncIterable<HypervisorEvent> {
    const stop = (): void => {
      this.#channels.delete(channel);
      channel.end();
    };
    const channel = new BoundedChannel<HypervisorEvent>({
      capacity: CAPACITY,
      onOverflow: () =>
        new PolyvisorError("POLYVISOR_EXPIRED", "the watch fell too far behind: list again"),
      onReturn: () => this.#channels.delete(channel),
    });
    this.#channels.add(channel);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    return channel;
  }

  send(event: HypervisorEvent): void {
    for (const channel of this.#channels) channel.push(event);
  }

  /** Ends every watch, as when the connection is lost. */
  end(error?: unknown): void {
    for (const channel of this.#channels) channel.end(error);
    this.#channels.clear();
  }
}
