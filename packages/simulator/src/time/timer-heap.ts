/** A timer that has not fired. */
export interface PendingTimer {
  readonly due: number;
  /** Of two timers due at once, the one that was set first fires first. */
  readonly order: number;
  readonly callback: () => void;
  cancelled: boolean;
}

/** Timers by when they are due, the next one first. */
export class TimerHeap {
  readonly #items: PendingTimer[] = [];
  #cancelled = 0;

  /** The next timer; cancelled ones are dropped on the way. */
  peek(): PendingTimer | undefined {
    while (this.#items[0]?.cancelled) this.#removeFirst();
    return this.#items[0];
  }

  push(timer: PendingTimer): void {
    this.#items.push(timer);
    this.#up(this.#items.length - 1);
  }

  pop(): PendingTimer | undefined {
    const first = this.peek();
    if (first) this.#removeFirst();
    return first;
  }

  cancel(timer: PendingTimer): void {
    if (timer.cancelled) return;
    timer.cancelled = true;
    this.#cancelled += 1;
    // Cancelled timers that are due much later would pile up: time limits are set and cancelled all the time.
    if (this.#cancelled > 1_000 && this.#cancelled * 2 > this.#items.length) this.#compact();
  }

  #compact(): void {
    const kept = this.#items.filter(({ cancelled }) => !cancelled).sort(compare);
    this.#items.length = 0;
    for (const timer of kept) this.#items.push(timer);
    this.#cancelled = 0;
  }

  #removeFirst(): void {
    const first = this.#items[0];
    const last = this.#items.pop();
    if (first?.cancelled) this.#cancelled -= 1;
    if (last === undefined || this.#items.length === 0) return;
    this.#items[0] = last;
    this.#down(0);
  }

  #up(start: number): void {
    const items = this.#items;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (compare(items[parent] as PendingTimer, items[index] as PendingTimer) <= 0) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #down(start: number): void {
    const items = this.#items;
    let index = start;
    for (;;) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        const candidate = items[child];
        if (candidate && compare(candidate, items[least] as PendingTimer) < 0) least = child;
      }
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #swap(a: number, b: number): void {
    const items = this.#items;
    const held = items[a] as PendingTimer;
    items[a] = items[b] as PendingTimer;
    items[b] = held;
  }
}

function compare(a: PendingTimer, b: PendingTimer): number {
  return a.due - b.due || a.order - b.order;
}
