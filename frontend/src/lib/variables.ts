/** A template variable: its name without #, and what it stands for. */
export interface Variable {
  readonly name: string;
  readonly caption: string;
}

const NEAR = 2;

/** The variable whose name is nearest to a mistyped one, where one is near enough to be meant. */
export function nearest(name: string, variables: readonly Variable[]): Variable | undefined {
  const found = variables
    .map((variable) => ({ variable, distance: distance(name.toLowerCase(), variable.name) }))
    .filter((one) => one.distance <= Math.min(NEAR, Math.floor(name.length / 3)))
    .sort((one, other) => one.distance - other.distance)[0];
  return found?.variable;
}

/** Levenshtein's distance: how many letters to change, add or take away. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}

/** What to write where, so that a variable comes into a template. */
export interface Insertion {
  readonly at: number;
  readonly end: number;
  readonly text: string;
}

/** Where a variable goes that is wanted at a selection of a template's text; `inString`: it begins inside quotes. */
export function variableAt(source: string, from: number, to: number, name: string, inString: boolean): Insertion {
  if (inString) {
    return { at: from, end: to, text: `#${name}` };
  }
  const before = source.slice(0, from).trimEnd().slice(-1);
  const after = source.slice(to).trimStart().slice(0, 1);
  if (before === ":" && ["", ",", "}"].includes(after)) {
    return { at: from, end: to, text: `"#${name}"` };
  }
  const closing = source.lastIndexOf("}");
  const inside = source.slice(0, closing).trimEnd();
  if (closing === -1 || source.slice(closing + 1).trim() !== "" || inside === "") {
    return { at: from, end: to, text: `"#${name}"` };
  }
  const comma = inside.endsWith("{") || inside.endsWith(",") ? "" : ",";
  return { at: inside.length, end: closing, text: `${comma}\n  "${name}": "#${name}"\n` };
}
