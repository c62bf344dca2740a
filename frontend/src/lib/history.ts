/** The time spans of the plots, and the buckets that fill them. */

export type Range = "24h" | "7d" | "28d";

export const RANGES: readonly Range[] = ["24h", "7d", "28d"];

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const SPANS: Readonly<Record<Range, { bucket: "hour" | "day"; size: number; count: number }>> = {
  "24h": { bucket: "hour", size: HOUR, count: 24 },
  "7d": { bucket: "hour", size: HOUR, count: 7 * 24 },
  "28d": { bucket: "day", size: DAY, count: 28 },
};

/** A bucket as the API has it. */
export interface Bucket {
  readonly start: string;
  readonly successful: number;
  readonly failed: number;
  readonly attempts: number;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly p99_ms: number | null;
}

/** A span of time, in milliseconds since 1970; `from` and `size` are those of its buckets, in UTC. */
export interface Span {
  readonly range: Range;
  readonly bucket: "hour" | "day";
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/** Whether a text names a range. */
export function isRange(text: string | null | undefined): text is Range {
  return RANGES.includes(text as Range);
}

/** The range's span whose last bucket is the one that `now` is in. */
export function spanOf(range: Range, now: number): Span {
  const { bucket, size, count } = SPANS[range];
  const to = Math.floor(now / size) * size + size;
  return { range, bucket, size, from: to - count * size, to };
}

/** One bucket for each step of the span; where the API has none, nothing happened. */
export function filledBuckets(span: Span, items: readonly Bucket[]): Bucket[] {
  const known = new Map(items.map((item) => [Date.parse(item.start), item]));
  return Array.from({ length: Math.round((span.to - span.from) / span.size) }, (_, index) => {
    const start = span.from + index * span.size;
    return known.get(start) ?? { ...NOTHING, start: new Date(start).toISOString() };
  });
}

const NOTHING = { successful: 0, failed: 0, attempts: 0, p50_ms: null, p95_ms: null, p99_ms: null };

/** Indices of values that stand alone between gaps: a line through them would not be seen. */
export function lonely(values: readonly (number | null | undefined)[]): number[] {
  return values.flatMap((value, index) =>
    value != null && values[index - 1] == null && values[index + 1] == null ? [index] : [],
  );
}
