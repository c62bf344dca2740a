import { language } from "./language.ts";

const SHORT: Intl.DateTimeFormatOptions = {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
};

const EXACT: Intl.DateTimeFormatOptions = {
  weekday: "long",
  year: "numeric",
  month: "long",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  timeZoneName: "longOffset",
};

/** A time in the person's zone, to the second. */
export function shortTime(moment: Date): string {
  return new Intl.DateTimeFormat(language(), SHORT).format(moment);
}

/** A time in the person's zone to the millisecond with the zone, and the same in UTC as the API writes it. */
export function exactTime(moment: Date): string {
  return `${new Intl.DateTimeFormat(language(), EXACT).format(moment)}\n${moment.toISOString()}`;
}

/** Shows a time in an element: the person's zone in its text, the exact time on hover. */
export function showTime(element: HTMLTimeElement, moment: Date): void {
  element.dateTime = moment.toISOString();
  element.textContent = shortTime(moment);
  element.title = exactTime(moment);
}
