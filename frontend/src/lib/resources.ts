/** Something that a webhook can be limited to. Without a name it is no longer among what there is. */
export interface Resource {
  readonly id: string;
  readonly name: string | null;
  readonly url: string | null;
}

/** What an event type's items are: those of one kind are the same for all its event types. */
export function kindOf(eventType: string): string {
  return eventType.startsWith("object_") ? "object" : eventType.startsWith("operation_") ? "operation" : eventType;
}

/** An address that may be followed: a path of Portal's, or `http` and `https`, whatever is written there. */
export function safeUrl(url: string | null): string | undefined {
  if (url?.startsWith("/")) {
    return url;
  }
  if (url === null || !URL.canParse(url)) {
    return undefined;
  }
  const { protocol, href } = new URL(url);
  return protocol === "http:" || protocol === "https:" ? href : undefined;
}
