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
export type Change = "add" | "update" | "remove" | "none";

/** What an attempt that came changes; `wanted` is the status that is filtered by, or empty. */
export function changeOf(attempt: Attempt, row: Row | undefined, wanted: string): Change {
  const matches = wanted === "" || attempt.status === wanted;
  if (row === undefined) {
    return matches ? "add" : "none";
  }
  if (RANKS[attempt.status] < RANKS[row.status]) {
    return "none";
  }
  return matches ? "update" : "remove";
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
