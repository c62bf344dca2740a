/** `<delivery-plots>`: outcomes and durations over time. */
import uPlot from "uplot";
import { element, idOf, jsonText, whenParsed } from "../lib/dom.ts";
import { type Bucket, filledBuckets, isRange, lonely, RANGES, type Range, type Span, spanOf } from "../lib/history.ts";
import { language, numbers } from "../lib/language.ts";
import { type Refusal, refusalOf, signInLink } from "../lib/refusal.ts";
import { Texts } from "../lib/text.ts";

const HEIGHT = 210;
const REFRESH_MS = 60_000;
const FEW_POINTS = 30;
const DAY = 86_400_000;
/** Steps of an axis of messages, of which there are no halves. */
const WHOLE_STEPS = Array.from({ length: 9 }, (_, zeros) => [1, 2, 5].map((one) => one * 10 ** zeros)).flat();

type Figure = "successful" | "failed" | "p50" | "p95" | "p99";
const DURATIONS = ["p50", "p95", "p99"] as const;
const OUTCOMES = ["failed", "successful"] as const;
const DASHES = { p50: [], p95: [7, 4], p99: [2, 3] };

/** What the page may give with itself, so that the first plots need no request. */
interface Given {
  readonly range: Range;
  readonly items: readonly Bucket[];
}

class DeliveryPlots extends HTMLElement {
  #range: Range = "24h";
  #span = spanOf("24h", Date.now());
  #buckets: Bucket[] = [];
  #plots: { outcomes: Plot; durations: Plot } | undefined;
  #body = element("div", { class: "dp-body" });
  #said = element("p", { class: "dp-said", role: "status" });
  #table = element("details", { class: "dp-table" });
  #ranges = element("div", { class: "dp-ranges", role: "group" });
  #refused: Refusal | undefined;
  #loading: AbortController | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #stops = new AbortController();
  readonly #texts = new Texts("delivery-plots", this);

  connectedCallback(): void {
    whenParsed(() => this.#begin());
  }

  disconnectedCallback(): void {
    clearInterval(this.#timer);
    this.#stops.abort();
    this.#loading?.abort();
    this.#plots?.outcomes.destroy();
    this.#plots?.durations.destroy();
    this.#plots = undefined;
  }

  /** Loads the figures of the range again. */
  async refresh(): Promise<void> {
    const url = this.getAttribute("data-url");
    if (url === null) {
      return;
    }
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    const span = spanOf(this.#range, Date.now());
    const query = new URLSearchParams({
      bucket: span.bucket,
      from: new Date(span.from).toISOString(),
      to: new Date(span.to).toISOString(),
    });
    this.toggleAttribute("data-loading", true);
    try {
      const response = await fetch(`${url}?${query}`, {
        signal: loading.signal,
        headers: { Accept: "application/json" },
      });
      const refusal = refusalOf(response.status);
      if (refusal !== undefined) {
        this.#refuse(refusal);
      } else if (response.ok) {
        const { items } = (await response.json()) as { items: Bucket[] };
        this.#show(span, items);
      } else {
        this.#fail();
      }
    } catch {
      if (!loading.signal.aborted) {
        this.#fail();
      }
    }
    if (this.#loading === loading) {
      this.toggleAttribute("data-loading", false);
    }
  }

  #begin(): void {
    if (this.#plots !== undefined) {
      return;
    }
    this.#stops = new AbortController();
    const given = jsonText<Given | undefined>(
      this.querySelector('script[type="application/json"]')?.textContent,
      undefined,
    );
    this.#range = askedFor(location.href) ?? (isRange(given?.range) ? given.range : "24h");
    this.#build();
    if (given !== undefined && given.range === this.#range) {
      this.#show(spanOf(this.#range, Date.now()), given.items);
    } else {
      void this.refresh();
    }
    this.#timer = setInterval(() => document.hidden || void this.refresh(), REFRESH_MS);
    document.addEventListener("part", (event) => keepWhatWasChosen(event.target as HTMLElement), {
      signal: this.#stops.signal,
    });
    const repaint = () => {
      this.#plots?.outcomes.repaint();
      this.#plots?.durations.repaint();
    };
    const themes = new MutationObserver(repaint);
    themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "class"] });
    this.#stops.signal.addEventListener("abort", () => themes.disconnect());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint, { signal: this.#stops.signal });
  }

  #build(): void {
    const texts = this.#texts;
    this.#ranges.setAttribute("aria-label", texts.get("range"));
    this.#ranges.replaceChildren(
      ...RANGES.map((range) => {
        const button = element(
          "button",
          { type: "button", "aria-pressed": `${range === this.#range}`, "data-range": range },
          texts.get(`range-${range}`),
        );
        button.addEventListener("click", () => this.#choose(range));
        return button;
      }),
    );
    const zone = new Intl.DateTimeFormat(language()).resolvedOptions().timeZone;
    const outcomes = new Plot(
      texts.get("outcomes"),
      OUTCOMES.map((key) => ({ key, text: texts.get(key) })),
      true,
    );
    const durations = new Plot(
      texts.get("durations"),
      DURATIONS.map((key) => ({ key, text: texts.get(key) })),
      false,
    );
    this.#body.replaceChildren(outcomes.figure, durations.figure);
    this.#table.replaceChildren(element("summary", {}, texts.get("as-table")));
    this.#table.addEventListener("toggle", () => this.#fillTable());
    this.#said.textContent = texts.get("loading");
    this.replaceChildren(
      element("div", { class: "dp-head" }, this.#ranges, this.#said),
      this.#body,
      element(
        "div",
        { class: "dp-foot" },
        this.#table,
        element("p", { class: "dp-zone" }, texts.get("zone", { zone })),
      ),
    );
    this.#plots = { outcomes, durations };
  }

  #choose(range: Range): void {
    this.#range = range;
    for (const button of this.#ranges.children) {
      button.setAttribute("aria-pressed", `${button.getAttribute("data-range") === range}`);
    }
    const url = new URL(location.href);
    url.searchParams.set("range", range);
    history.replaceState(history.state, "", url);
    keepInLinks(url, range);
    void this.refresh();
  }

  /** Said once, however often it is asked: somebody may have signed in again elsewhere meanwhile. */
  #refuse(refusal: Refusal): void {
    if (refusal !== this.#refused) {
      const link = refusal === "ended" ? [" ", signInLink(this.#texts.get("sign-in"))] : [];
      this.#said.replaceChildren(this.#texts.get(refusal), ...link);
    }
    this.#refused = refusal;
  }

  #fail(): void {
    this.#refused = undefined;
    const again = element("button", { type: "button", class: "button button-small" }, this.#texts.get("retry"));
    again.addEventListener("click", () => void this.refresh());
    this.#said.replaceChildren(this.#texts.get("not-loaded"), " ", again);
  }

  #show(span: Span, items: readonly Bucket[]): void {
    this.#refused = undefined;
    this.#span = span;
    this.#buckets = filledBuckets(span, items);
    const count = (key: "successful" | "failed") => this.#buckets.reduce((sum, bucket) => sum + bucket[key], 0);
    const number = numbers();
    this.#said.textContent = this.#texts.get("summary", {
      range: this.#texts.get(`range-${span.range}`),
      successful: number.format(count("successful")),
      failed: number.format(count("failed")),
    });
    const empty = this.#buckets.every((bucket) => bucket.attempts + bucket.successful + bucket.failed === 0);
    const nothing = empty ? [this.#texts.get("empty"), this.#texts.get("empty-hint")] : [];
    const columns = this.#buckets.map((bucket) => ({
      title: this.#title(Date.parse(bucket.start)),
      values: {
        successful: number.format(bucket.successful),
        failed: number.format(bucket.failed),
        p50: this.#duration(bucket.p50_ms),
        p95: this.#duration(bucket.p95_ms),
        p99: this.#duration(bucket.p99_ms),
      },
    }));
    this.#plots?.outcomes.draw({
      span,
      columns,
      nothing,
      said: this.#said.textContent,
      bars: true,
      data: [
        this.#buckets.map((bucket) => Date.parse(bucket.start) / 1000),
        // The bar of all messages first, that of the successful ones over it: what still shows are the failed.
        this.#buckets.map((bucket) => bucket.successful + bucket.failed),
        this.#buckets.map((bucket) => bucket.successful),
      ],
      axis: compact,
    });
    this.#plots?.durations.draw({
      span,
      columns,
      nothing,
      said: this.#said.textContent,
      bars: false,
      data: [
        this.#buckets.map((bucket) => (Date.parse(bucket.start) + span.size / 2) / 1000),
        ...DURATIONS.map((key) => this.#buckets.map((bucket) => bucket[`${key}_ms`])),
      ],
      axis: (value) =>
        value >= 1000
          ? this.#texts.get("s", { n: compact(value / 1000) })
          : this.#texts.get("ms", { n: compact(value) }),
    });
    this.#fillTable();
  }

  #duration(ms: number | null): string {
    return ms === null
      ? "–"
      : this.#texts.get("ms", {
          n: numbers({ maximumFractionDigits: ms < 10 ? 1 : 0 }).format(ms),
        });
  }

  /** From when to when a bucket goes, in the person's zone. */
  #title(start: number): string {
    const format = new Intl.DateTimeFormat(language(), {
      weekday: "short",
      day: "numeric",
      month: "short",
      hour: "2-digit",
      minute: "2-digit",
    });
    return format.formatRange(start, start + this.#span.size);
  }

  #fillTable(): void {
    this.#table.querySelector(".dp-scroll")?.remove();
    if (!this.#table.open) {
      return;
    }
    const texts = this.#texts;
    const number = numbers();
    const heads = ["time", "successful", "failed", "attempts", "p50", "p95", "p99"] as const;
    const rows = this.#buckets
      .filter((bucket) => bucket.attempts + bucket.successful + bucket.failed > 0)
      .reverse()
      .map((bucket) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, this.#title(Date.parse(bucket.start))),
          ...[bucket.successful, bucket.failed, bucket.attempts].map((n) =>
            element("td", { class: "number" }, number.format(n)),
          ),
          ...DURATIONS.map((key) => element("td", { class: "number" }, this.#duration(bucket[`${key}_ms`]))),
        ),
      );
    const table = element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...heads.map((key) => element("th", { scope: "col", class: key === "time" ? "" : "number" }, texts.get(key))),
        ),
      ),
      element("tbody", {}, ...rows),
    );
    const content = rows.length === 0 ? element("p", {}, texts.get("empty")) : table;
    this.#table.append(
      element(
        "div",
        { class: "dp-scroll", tabindex: "0", role: "region", "aria-label": texts.get("as-table") },
        content,
      ),
    );
  }
}

interface Drawing {
  readonly span: Span;
  readonly columns: readonly { title: string; values: Readonly<Record<Figure, string>> }[];
  readonly nothing: readonly string[];
  readonly said: string;
  readonly bars: boolean;
  readonly data: readonly (readonly (number | null)[])[];
  readonly axis: (value: number) => string;
}

/** One plot with its title, legend and tooltip. */
class Plot {
  readonly figure: HTMLElement;
  readonly #keys: readonly { key: Figure; text: string }[];
  readonly #swatches: readonly HTMLElement[];
  /** Places of the keys as they are told: what lies in front first. */
  readonly #told: readonly number[];
  readonly #area = element("div", { class: "dp-area", role: "img", tabindex: "0" });
  readonly #nothing = element("div", { class: "dp-nothing", hidden: true });
  readonly #tip = element("div", { class: "dp-tip", hidden: true });
  readonly #ink = element("span", { class: "dp-ink", hidden: true });
  readonly #resized: ResizeObserver;
  readonly #name: string;
  #plot: uPlot | undefined;
  #drawing: Drawing | undefined;

  constructor(name: string, keys: readonly { key: Figure; text: string }[], barsOver: boolean) {
    this.#name = name;
    this.#keys = keys;
    this.#swatches = keys.map(({ key }) => element("span", { class: `dp-swatch dp-${key}`, "aria-hidden": "true" }));
    this.#told = barsOver ? [...keys.keys()].reverse() : [...keys.keys()];
    const legend = this.#told.map((at) => element("li", {}, this.#swatches[at] ?? "", keys[at]?.text ?? ""));
    const title = element("h3", {}, name);
    this.figure = element(
      "section",
      { class: "dp-plot", "aria-labelledby": idOf(title) },
      element("div", { class: "dp-title" }, title, element("ul", { class: "dp-legend" }, ...legend)),
      this.#area,
      this.#ink,
    );
    this.#area.append(this.#nothing, this.#tip);
    this.#area.addEventListener("keydown", (event) => this.#step(event));
    this.#area.addEventListener("blur", () => this.#plot?.setCursor({ left: -10, top: -10 }));
    this.#resized = new ResizeObserver(() => this.#plot?.setSize({ width: this.#area.clientWidth, height: HEIGHT }));
    this.#resized.observe(this.#area);
  }

  draw(drawing: Drawing): void {
    const before = this.#drawing?.span;
    this.#drawing = drawing;
    this.#area.setAttribute("aria-label", `${this.#name}. ${drawing.said}`);
    this.#nothing.hidden = drawing.nothing.length === 0;
    this.#nothing.replaceChildren(...drawing.nothing.map((text) => element("p", {}, text)));
    const data = drawing.data.map((column) => [...column]) as unknown as uPlot.AlignedData;
    if (this.#plot !== undefined && before?.range === drawing.span.range) {
      this.#plot.setData(data);
      return;
    }
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#options(drawing), data, this.#area);
  }

  repaint(): void {
    this.#plot?.redraw(true, true);
  }

  destroy(): void {
    this.#resized.disconnect();
    this.#plot?.destroy();
  }

  #options(drawing: Drawing): uPlot.Options {
    const colour = (index: number) => getComputedStyle(this.#swatches[index] ?? this.#area).color;
    const ink = () => getComputedStyle(this.#ink).color;
    const line = () => getComputedStyle(this.#ink).borderTopColor;
    const font = `12px ${getComputedStyle(this.#area).fontFamily}`;
    const many = drawing.columns.length > FEW_POINTS;
    const series = this.#keys.map(({ key }, index): uPlot.Series => {
      if (drawing.bars) {
        return {
          fill: () => colour(index),
          width: 0,
          points: { show: false },
          ...(uPlot.paths.bars
            ? { paths: uPlot.paths.bars({ size: [0.76, 44], align: 1, radius: many ? 0 : 0.12 }) }
            : {}),
        };
      }
      return {
        stroke: () => colour(index),
        width: 2,
        dash: key in DASHES ? DASHES[key as keyof typeof DASHES] : [],
        spanGaps: false,
        points: {
          size: 6,
          width: 0,
          fill: () => colour(index),
          filter: (plot, at) => lonely(plot.data[at] as (number | null)[]),
        },
      };
    });
    return {
      width: this.#area.clientWidth,
      height: HEIGHT,
      padding: [12, 32, 0, 0],
      legend: { show: false },
      cursor: {
        drag: { x: false, y: false },
        y: false,
        points: drawing.bars ? { show: false } : { size: 8, width: 0 },
      },
      scales: {
        x: { time: true, range: () => this.#limits() },
        y: { range: (_, __, max) => [0, Math.max(max ?? 0, drawing.bars ? 4 : 10) * 1.08] },
      },
      axes: [
        {
          stroke: ink,
          font,
          grid: { show: false },
          ticks: { stroke: line, size: 5 },
          size: 34,
          space: 64,
          values: (_, splits) => splits.map((split) => timeLabel(split * 1000, drawing.span)),
        },
        {
          stroke: ink,
          font,
          size: 62,
          grid: { stroke: line, width: 1 },
          ticks: { show: false },
          values: (_, splits) => splits.map(drawing.axis),
          ...(drawing.bars ? { incrs: WHOLE_STEPS } : {}),
        },
      ],
      series: [{}, ...series],
      hooks: { setCursor: [(plot) => this.#point(plot)] },
    };
  }

  #limits(): [number, number] {
    const span = this.#drawing?.span;
    return span === undefined ? [0, 1] : [span.from / 1000, span.to / 1000];
  }

  #step(event: KeyboardEvent): void {
    const plot = this.#plot;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (plot === undefined || step === undefined) {
      return;
    }
    event.preventDefault();
    const times = plot.data[0];
    const at = Math.min(Math.max((plot.cursor.idx ?? times.length) + step, 0), times.length - 1);
    const half = this.#drawing?.bars ? this.#drawing.span.size / 2000 : 0;
    plot.setCursor({ left: plot.valToPos((times[at] ?? 0) + half, "x"), top: plot.bbox.height / 4 });
  }

  #point(plot: uPlot): void {
    const drawing = this.#drawing;
    const left = plot.cursor.left ?? -1;
    const index = drawing === undefined || left < 0 ? undefined : (plot.cursor.idx ?? undefined);
    const column =
      index === undefined
        ? undefined
        : drawing?.columns[drawing.bars ? bucketAt(plot, plot.posToVal(left, "x")) : index];
    this.#tip.hidden = column === undefined || drawing?.nothing.length !== 0;
    if (column === undefined) {
      return;
    }
    this.#tip.replaceChildren(
      element("p", { class: "dp-tip-time" }, column.title),
      ...this.#told.map((at) =>
        element(
          "p",
          { class: "dp-tip-row" },
          this.#swatches[at]?.cloneNode() ?? "",
          element("span", {}, this.#keys[at]?.text ?? ""),
          element("strong", {}, column.values[this.#keys[at]?.key ?? "failed"]),
        ),
      ),
    );
    const x = plot.over.offsetLeft + left;
    const room = this.#area.clientWidth - this.#tip.offsetWidth;
    const beside = x + 16 > room ? x - this.#tip.offsetWidth - 16 : x + 16;
    this.#tip.style.translate = `${Math.round(Math.min(Math.max(beside, 0), Math.max(room, 0)))}px 0`;
  }
}

function askedFor(page: string): Range | undefined {
  const asked = new URL(page).searchParams.get("range");
  return isRange(asked) ? asked : undefined;
}

/** What comes later was asked for with the range of that time. */
function keepWhatWasChosen(part: HTMLElement): void {
  const range = askedFor(location.href);
  if (range !== undefined) {
    keepInLinks(new URL(location.href), range, part);
  }
}

/** The links to other views of this page, such as the filters of its table, keep the range. */
function keepInLinks(page: URL, range: Range, within: ParentNode = document): void {
  const tab = page.searchParams.get("tab");
  for (const link of within.querySelectorAll<HTMLAnchorElement>("a[href]")) {
    const url = new URL(link.href);
    if (url.pathname === page.pathname && url.searchParams.get("tab") === tab) {
      url.searchParams.set("range", range);
      link.href = url.href;
    }
  }
}

/** The bucket that a time is in; bars begin at their bucket's start. */
function bucketAt(plot: uPlot, seconds: number): number {
  const times = plot.data[0];
  const size = (times[1] ?? 0) - (times[0] ?? 0) || 1;
  return Math.min(Math.max(Math.floor((seconds - (times[0] ?? 0)) / size), 0), times.length - 1);
}

function timeLabel(time: number, span: Span): string {
  const midnight = new Date(time).getHours() === 0 && new Date(time).getMinutes() === 0;
  const asDay = span.to - span.from > 2 * DAY || midnight;
  const format: Intl.DateTimeFormatOptions = asDay
    ? { day: "numeric", month: "short" }
    : { hour: "numeric", minute: "2-digit" };
  return new Intl.DateTimeFormat(language(), format).format(time);
}

function compact(value: number): string {
  return numbers({ notation: "compact", maximumFractionDigits: 2 }).format(value);
}

if (customElements.get("delivery-plots") === undefined) {
  customElements.define("delivery-plots", DeliveryPlots);
}
