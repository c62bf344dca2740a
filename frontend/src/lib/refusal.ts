/** Why asking again is in vain: somebody has to sign in first, or what was asked for is not there any more. */
import { element } from "./dom.ts";

export type Refusal = "ended" | "gone";

/** What an answer's status refuses; undefined where asking again may help. */
export function refusalOf(status: number): Refusal | undefined {
  return status === 401 || status === 403 ? "ended" : status === 404 ? "gone" : undefined;
}

/** The link to sign in, and then back to this page. */
export function signInLink(text: string): HTMLAnchorElement {
  const here = `${location.pathname}${location.search}${location.hash}`;
  return element("a", { href: `/sign-in?next=${encodeURIComponent(here)}` }, text);
}

/** The same beside what was typed, which stays: in another tab, whose session is this one's too. */
export function signInBeside(text: string): HTMLAnchorElement {
  return element("a", { href: "/sign-in", target: "_blank", rel: "noopener" }, text);
}
