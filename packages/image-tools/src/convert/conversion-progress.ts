/** How far a conversion has come. */
export interface ConversionProgress {
  /** Reading and writing, waiting for stable storage, or looking at the result. */
  readonly phase: "converting" | "storing" | "checking";
  /** Bytes read of the source so far. */
  readonly bytesIn: number;
  /** Bytes of the disk that were written so far, without holes. */
  readonly bytesOut: number;
  /** Average of `bytesIn` over the last few seconds. */
  readonly bytesPerSecond: number;
  /** What part of the work is done, from 0 to 1, where that is known. */
  readonly fraction?: number;
  /** Estimate from what is done so far, where that is known. */
  readonly secondsLeft?: number;
}

/** Options of {@link ConversionMeter}. */
export interface ConversionMeterOptions {
  readonly report: ((progress: ConversionProgress) => void) | undefined;
  /** Milliseconds, from any start. Default: `performance.now`. */
  readonly now?: () => number;
}

const REPORT_INTERVAL_MS = 200;
const WINDOW_SAMPLES = 25;

/** Measures a conversion and reports it a few times a second. */
export class ConversionMeter {
  readonly #report: ((progress: ConversionProgress) => void) | undefined;
  readonly #now: () => number;
  readonly #started: number;
  readonly #samples: { readonly time: number; readonly bytesIn: number }[] = [];
  #lastReport: number;
  #phase: ConversionProgress["phase"] = "converting";
  #bytesIn = 0;
  #bytesOut = 0;
  #fraction: number | undefined;
  #skippedFraction = 0;

  constructor({ report, now = () => performance.now() }: ConversionMeterOptions) {
    this.#report = report;
    this.#now = now;
    this.#started = now();
    this.#lastReport = this.#started;
    this.#samples.push({ time: this.#started, bytesIn: 0 });
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Counts what was done since the last call; `fraction` is of the whole work. */
  add(bytesIn: number, bytesOut: number, fraction: number | undefined): void {
    this.#bytesIn += bytesIn;
    this.#bytesOut += bytesOut;
    this.#fraction = fraction === undefined ? undefined : Math.min(1, fraction);
    if (this.#now() - this.#lastReport >= REPORT_INTERVAL_MS) this.#emit();
  }

  /** Notes what part of the work an earlier run has done. */
  skip(fraction: number): void {
    this.#skippedFraction = Math.min(1, fraction);
    this.#fraction = this.#skippedFraction;
  }

  /** Goes on to the next phase, and reports it. */
  enter(phase: ConversionProgress["phase"]): void {
    this.#phase = phase;
    this.#emit();
  }

  #emit(): void {
    if (this.#report === undefined) return;
    const time = this.#now();
    this.#lastReport = time;
    this.#samples.push({ time, bytesIn: this.#bytesIn });
    if (this.#samples.length > WINDOW_SAMPLES) this.#samples.shift();
    const first = this.#samples[0] ?? { time, bytesIn: 0 };
    const milliseconds = time - first.time;
    const fraction = this.#fraction;
    const elapsedSeconds = (time - this.#started) / 1000;
    const doneHere = (fraction ?? 0) - this.#skippedFraction;
    this.#report({
      phase: this.#phase,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      bytesPerSecond:
        milliseconds > 0 ? Math.round(((this.#bytesIn - first.bytesIn) * 1000) / milliseconds) : 0,
      ...(fraction === undefined ? {} : { fraction }),
      ...(fraction === undefined || doneHere <= 0
        ? {}
        : { secondsLeft: Math.round((elapsedSeconds * (1 - fraction) * 10) / doneHere) / 10 }),
    });
  }
}
