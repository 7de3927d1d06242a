const TRACKED = 8;
const GAP_BYTES = 1024 * 1024;

interface Run {
  end: number;
  bytes: number;
}

/**
 * Recognises reads that run through a file in order, also several such runs side by side and with
 * small gaps, as readers of disk images leave around tables and holes.
 */
export class SequenceDetector {
  readonly #runs: Run[] = [];

  /** Notes a read and returns how many bytes the run that it belongs to has read so far. */
  note(offset: number, length: number): number {
    const found = this.#runs.findIndex(({ end }) => offset >= end && offset - end <= GAP_BYTES);
    const run = found === -1 ? { end: 0, bytes: 0 } : (this.#runs.splice(found, 1)[0] as Run);
    run.end = offset + length;
    run.bytes += length;
    this.#runs.unshift(run);
    if (this.#runs.length > TRACKED) this.#runs.pop();
    return run.bytes;
  }
}
