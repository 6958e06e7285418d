/**
 * What an image's neighbours are: frames of its video or recording, else what the same camera took, or else what lies in
 * its folder. Values in, values out.
 *
 * @typedef {{said: string, where: string, column: string, at: string, rowId: number}} Neighbourhood where: what all of them
 *   have in common; column, at: what they are in the order of, and its literal of this image
 */

/** @import { Row } from "../common/api.js" */

/** @param {string} value */
const text = (value) => `'${value.replaceAll("'", "''")}'`;

/**
 * @param {Row} row
 * @returns {Neighbourhood}
 */
export function neighbourhood({ row_id: rowId, uri, columns }) {
  const { stream_id: stream, time_us: us, captured_at: taken, camera } = columns ?? {};
  if (typeof stream === "string" && typeof us === "number") {
    return { said: "Before and after it", where: `uri = ${text(uri)} AND stream_id = ${text(stream)}`, column: "time_us", at: String(us), rowId };
  }
  const folder = folderOf(uri);
  if (typeof taken === "string") {
    const isCamera = typeof camera === "string";
    const where = isCamera ? `camera = ${text(camera)}` : folder;
    const said = `Taken before and after it, ${isCamera ? `by ${camera}` : "in its folder"}`;
    return { said, where, column: "captured_at", at: `TIMESTAMP ${text(taken)}`, rowId };
  }
  return { said: "Beside it in its folder", where: folder, column: "uri", at: text(uri), rowId };
}

/**
 * All that lies in the folder and in what is in it, written without wildcards: "0" comes after "/".
 * @param {string} uri
 */
function folderOf(uri) {
  const folder = uri.slice(0, uri.lastIndexOf("/"));
  return `uri >= ${text(`${folder}/`)} AND uri < ${text(`${folder}0`)}`;
}

/**
 * What lies on one side of it, the nearest first.
 * @param {Neighbourhood} of
 * @param {-1|1} direction
 */
export function side({ where, column, at, rowId }, direction) {
  const sign = direction < 0 ? "<" : ">";
  return {
    where: `${where} AND (${column} ${sign} ${at} OR (${column} = ${at} AND row_id ${sign} ${rowId}))`,
    sort: `${column}:${direction < 0 ? "down" : "up"}`,
  };
}
