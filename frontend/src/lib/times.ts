import { language } from "./language.ts";

/** Shows a time in an element as the pages do: the person's zone in its text, the exact time and UTC on hover. */
export function showTime(element: HTMLTimeElement, moment: Date): void {
  const short = new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "medium" });
  const exact = new Intl.DateTimeFormat(language(), {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    timeZoneName: "long",
  });
  element.dateTime = moment.toISOString();
  element.textContent = short.format(moment);
  element.title = `${exact.format(moment)}\n${moment.toISOString()}`;
  // The page's own script leaves it alone.
  element.dataset.localized = "";
}

/** A time on the clock of the person's zone, to the minute, as `<input type="datetime-local">` has it. */
export function localTime(moment: Date): string {
  const two = (n: number) => `${n}`.padStart(2, "0");
  const date = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${date}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
}
