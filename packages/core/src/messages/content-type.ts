/** The media type alone, without parameters such as `; charset=utf-8`, in lower case. */
export function mediaTypeOf(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** Whether bytes of this type are text, which survives being decoded and encoded again. Nothing said means JSON. */
export function isTextual(contentType = 'application/json'): boolean {
  return /^text\/|[/+](json|xml|yaml)$/.test(mediaTypeOf(contentType));
}
