import type { FormatErrors } from "./disk-opener.ts";

// So many are no accident.
const MAX_SHARED_USES = 16;

/** Counts the pieces of an image file that a disk would contain more than once. */
export class SharedUses {
  readonly #errors: FormatErrors;
  #count = 0;
  #first = "";

  constructor(errors: FormatErrors) {
    this.#errors = errors;
  }

  /**
   * Counts one more; `what` names the piece, as in "the data at byte 512".
   *
   * @throws ImageError `IMAGE_TOO_LARGE` when there are so many that the disk is far larger than
   * its file.
   */
  note(what: string): void {
    if (this.#count === 0) this.#first = what;
    this.#count += 1;
    if (this.#count < MAX_SHARED_USES) return;
    throw this.#errors.tooLarge(`it uses ${this.#first} and more again and again, to expand it`);
  }

  /** @throws ImageError `IMAGE_UNSAFE` when there was any. */
  refuse(): void {
    if (this.#count > 0) throw this.#errors.unsafe(`it uses ${this.#first} more than once`);
  }
}
