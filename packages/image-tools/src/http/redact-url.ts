/** The URL without what may be secret: user, password, query and fragment. */
export function redactUrl(url: URL): string {
  const query = url.search === "" ? "" : "?…";
  return `${url.protocol}//${url.host}${url.pathname}${query}`;
}
