import { numbers } from "./language.ts";

/** A webhook's figures, as the API has them. */
export interface Figures {
  readonly successful: number;
  readonly pending: number;
  readonly in_progress: number;
  readonly failed: number;
  readonly total: number;
  readonly success_rate: number | null;
}

/** A figure as the pages show it. */
export function shownFigure(figures: Figures, name: keyof Figures, language: string | undefined): string {
  const value = figures[name];
  if (value === null) {
    return "–";
  }
  return name === "success_rate" ? percent(value, language) : numbers({}, language).format(value);
}

/** A share between 0 and 1: only what is all of it is 100 %, and only nothing is 0 %. */
export function percent(share: number, language: string | undefined): string {
  const shown = share < 1 && share > 0 ? Math.max(Math.min(share, 0.999), 0.001) : share;
  return numbers({ style: "percent", maximumFractionDigits: 1 }, language).format(shown);
}
