/** The pages' addresses, as they name each other; each page reads its own. */

/** Where a lake is searched; with a row_id, where that image is shown large. */
export function searchHref(lake, rowId = null) {
  const params = new URLSearchParams({ lake });
  if (rowId !== null) params.set("row", String(rowId));
  return `/?${params}`;
}

/** What a lake is made of. */
export const lakeHref = (lake) => `/lake?${new URLSearchParams({ lake })}`;

/** Where one labels by a filter; without a name, where all of them are listed. */
export function labelHref(lake, name = null) {
  const params = new URLSearchParams({ lake });
  if (name !== null) params.set("filter", name);
  return `/label?${params}`;
}
