import { showTime } from "../lib/times.ts";

/** Times that the server wrote in UTC are shown in the person's zone, now and when they are added later. */
function localize(root: ParentNode): void {
  for (const element of root.querySelectorAll<HTMLTimeElement>("time[datetime]:not([data-local])")) {
    const moment = new Date(element.dateTime);
    if (!Number.isNaN(moment.getTime())) {
      showTime(element, moment);
      element.dataset.local = "";
    }
  }
}

localize(document);
new MutationObserver((changes) => {
  for (const change of changes) {
    for (const node of change.addedNodes) {
      if (node instanceof Element && node.parentElement !== null) {
        localize(node.parentElement);
      }
    }
  }
}).observe(document.body, { childList: true, subtree: true });
