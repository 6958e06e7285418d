/** Which images of a filter one looks among: those that it kept, dropped, asks about, or has not decided. */

/** @type {Record<string, string>} */
const WORDS = { keep: "kept", drop: "dropped", ask: "to be asked", undecided: "undecided" };
export const DECISIONS = Object.keys(WORDS);

/** @typedef {{filter: string, decision: string}} Within one decision of one filter */

/**
 * "dropped by scenes"
 * @param {Within} set
 */
export const within = ({ filter, decision }) => (decision === "undecided" ? `undecided of ${filter}` : `${WORDS[decision]} by ${filter}`);

/**
 * @param {URLSearchParams} params
 * @returns {?Within} as an address says it; null: it says none, or one that there is not
 */
export function parseWithin(params) {
  const [filter, decision] = [params.get("filter"), params.get("decision") ?? "keep"];
  return filter && DECISIONS.includes(decision) ? { filter, decision } : null;
}
