/** `<zoned-times>`: times that are typed are on the clock of the person's zone, which is sent with them. */
import { whenParsed } from "../lib/dom.ts";
import { localTime } from "../lib/times.ts";

class ZonedTimes extends HTMLElement {
  connectedCallback(): void {
    whenParsed(() => this.#begin());
  }

  #begin(): void {
    const suggested = this.querySelectorAll<HTMLInputElement>("input[data-utc], input[data-moment]");
    // Otherwise the form came back with what was typed, and with the zone of that.
    if (suggested.length === 0) {
      return;
    }
    const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
    for (const input of suggested) {
      const moment = new Date(input.dataset["moment"] ?? `${input.value}Z`);
      if (asMade(input) && !Number.isNaN(moment.getTime())) {
        input.value = localTime(moment);
      }
      input.removeAttribute("data-utc");
      input.removeAttribute("data-moment");
    }
    const zone = this.querySelector<HTMLInputElement>('input[type="hidden"]');
    if (zone !== null) {
      zone.value = timeZone;
    }
    const shown = this.querySelector("[data-zone]");
    if (shown !== null) {
      shown.textContent = timeZone;
    }
  }
}

/** Whether nobody has typed there before this ran. The browser may write a time otherwise than the page does. */
function asMade(input: HTMLInputElement): boolean {
  const made = input.cloneNode() as HTMLInputElement;
  made.value = input.defaultValue;
  return made.value === input.value;
}

if (customElements.get("zoned-times") === undefined) {
  customElements.define("zoned-times", ZonedTimes);
}
