/** How many bytes a form's fields are as they are sent, `application/x-www-form-urlencoded`. */
export function bytesOf(fields: Iterable<readonly [string, FormDataEntryValue]>): number {
  const sent = [...fields].map(([name, value]) => [name, `${value}`.replace(/\r\n|\r|\n/g, "\r\n")]);
  return `${new URLSearchParams(sent)}`.length;
}
