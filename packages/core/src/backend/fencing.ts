/** Whether a host has power, as its fence device reads it. */
export type PowerState = "on" | "off";

/**
 * Turns hosts off for certain, so that their guests may be started elsewhere. The port that a maker of a fence device
 * implements.
 *
 * Errors are `PolyvisorError`s: `POLYVISOR_NOT_FOUND` for a host that the device does not know,
 * `POLYVISOR_UNAVAILABLE` when the device does not answer, `POLYVISOR_REFUSED` when it says no.
 */
export interface Fencing extends AsyncDisposable {
  readonly name: string;

  /** Names of the hosts that it has power over. */
  hosts(signal: AbortSignal): Promise<readonly string[]>;

  /** Read from the device, never from memory. */
  power(host: string, signal: AbortSignal): Promise<PowerState>;

  /**
   * Turns a host off, and returns only after `off` was read back. Does nothing else when it is off already.
   *
   * @throws `POLYVISOR_OUTCOME_UNKNOWN` when that could not be read.
   */
  powerOff(host: string, signal: AbortSignal): Promise<void>;

  /** Turns a host on, and returns after `on` was read back. */
  powerOn(host: string, signal: AbortSignal): Promise<void>;
}
