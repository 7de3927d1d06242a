/** How far a download has come. */
export interface DownloadProgress {
  readonly receivedBytes: number;
  /** Absent when the server does not say. */
  readonly totalBytes?: number;
  /** Average of the last few seconds. */
  readonly bytesPerSecond: number;
}

const REPORT_INTERVAL_MS = 250;
const WINDOW_SAMPLES = 20;

/** Measures a download and reports it a few times a second. */
export class ProgressMeter {
  readonly #totalBytes: number | undefined;
  readonly #report: (progress: DownloadProgress) => void;
  readonly #now: () => number;
  readonly #samples: { readonly time: number; readonly bytes: number }[];
  #receivedBytes = 0;

  constructor(
    totalBytes: number | undefined,
    report: (progress: DownloadProgress) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#totalBytes = totalBytes;
    this.#report = report;
    this.#now = now;
    this.#samples = [{ time: now(), bytes: 0 }];
  }

  add(bytes: number): void {
    this.#receivedBytes += bytes;
    const last = this.#samples.at(-1);
    if (last === undefined || this.#now() - last.time >= REPORT_INTERVAL_MS) this.#emit();
  }

  /** Reports the final state. */
  finish(): void {
    this.#emit();
  }

  #emit(): void {
    const sample = { time: this.#now(), bytes: this.#receivedBytes };
    this.#samples.push(sample);
    if (this.#samples.length > WINDOW_SAMPLES) this.#samples.shift();
    const first = this.#samples[0] ?? sample;
    const milliseconds = sample.time - first.time;
    this.#report({
      receivedBytes: this.#receivedBytes,
      ...(this.#totalBytes === undefined ? {} : { totalBytes: this.#totalBytes }),
      bytesPerSecond:
        milliseconds > 0 ? Math.round(((sample.bytes - first.bytes) * 1000) / milliseconds) : 0,
    });
  }
}
