/** The rows of attempts: what an update changes, and where a row stands. */

export type Status = "pending" | "in_progress" | "successful" | "failed";

/** An attempt as the API has it. */
export interface Attempt {
  readonly id: string;
  readonly message_id: string;
  readonly run: number;
  readonly attempt: number;
  readonly status: Status;
  readonly duration_ms: number | null;
  readonly response_code: number | null;
  readonly executed_on: string | null;
  readonly error: string | null;
  readonly next_attempt_at: string | null;
}

/** What is known of a row that is shown: its status, and its time in milliseconds since 1970. */
export interface Row {
  readonly status: Status;
  readonly at: number;
}

const RANKS: Readonly<Record<Status, number>> = { pending: 0, in_progress: 1, failed: 2, successful: 3 };

/** The time that rows are sorted by: when it was made or, before that, when it is due. */
export function timeOf(attempt: Pick<Attempt, "executed_on" | "next_attempt_at">): number {
  return Date.parse(attempt.executed_on ?? attempt.next_attempt_at ?? "") || 0;
}

/** What becomes of the row: reports from several partitions may overtake each other, and no row goes back. */
export type Change = "update" | "remove" | "none";

/** What an attempt that came changes about its row; `wanted` is the status that is filtered by, or empty. */
export function changeOf(attempt: Attempt, row: Row, wanted: string): Change {
  if (RANKS[attempt.status] < RANKS[row.status]) {
    return "none";
  }
  return wanted === "" || attempt.status === wanted ? "update" : "remove";
}

/** Among rows with the newest first, the place of one with this time. */
export function placeOf(times: readonly number[], at: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) > at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/** Of several reports, the last that counts for each attempt, in the order in which they came first. */
export function latest(attempts: Iterable<Attempt>): Map<string, Attempt> {
  const found = new Map<string, Attempt>();
  for (const attempt of attempts) {
    const before = found.get(attempt.id);
    if (before === undefined || RANKS[attempt.status] >= RANKS[before.status]) {
      found.set(attempt.id, attempt);
    }
  }
  return found;
}

/** Of so many that are counted only, ids are remembered: reports about one attempt come within moments of each other. */
const REMEMBERED = 1_000;

/** New attempts that are not shown yet: the newest of them, and how many there are. */
export class Held {
  readonly #newest = new Map<string, Attempt>();
  readonly #counted = new Set<string>();
  #forgotten = 0;

  /** How many attempts are new, those that are counted only among them. */
  get count(): number {
    return this.#newest.size + this.passedOver;
  }

  /** How many are counted only. */
  get passedOver(): number {
    return this.#counted.size + this.#forgotten;
  }

  /** What is kept, to be shown. */
  get newest(): Iterable<Attempt> {
    return this.#newest.values();
  }

  /** Takes in a report of an attempt; `wanted` is the status that is filtered by, or empty. */
  take(attempt: Attempt, wanted: string): void {
    const before = this.#newest.get(attempt.id);
    if (before !== undefined && RANKS[attempt.status] < RANKS[before.status]) {
      return;
    }
    this.#counted.delete(attempt.id);
    if (wanted === "" || attempt.status === wanted) {
      this.#newest.set(attempt.id, attempt);
    } else {
      this.#newest.delete(attempt.id);
    }
  }

  /** Forgets what is older than `oldest`, and keeps the newest `limit` of the rest. */
  trim(limit: number, oldest: number): void {
    for (const [id, attempt] of this.#newest) {
      if (timeOf(attempt) < oldest) {
        this.#newest.delete(id);
      }
    }
    if (this.#newest.size <= limit) {
      return;
    }
    const sorted = [...this.#newest.values()].sort((one, other) => timeOf(other) - timeOf(one));
    for (const { id } of sorted.slice(limit)) {
      this.#newest.delete(id);
      this.#counted.add(id);
    }
    for (const id of this.#counted) {
      if (this.#counted.size <= REMEMBERED) {
        break;
      }
      this.#counted.delete(id);
      this.#forgotten += 1;
    }
  }

  clear(): void {
    this.#newest.clear();
    this.#counted.clear();
    this.#forgotten = 0;
  }
}
