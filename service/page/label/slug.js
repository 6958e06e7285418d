/** A filter's name, of what was typed. */

/**
 * A name as the service takes it, of what was typed: "Hospital rooms (Oslo)" is hospital-rooms-oslo. What holds no letter
 * or digit of these stays as it is: the service says what a name may be.
 * @param {string} typed
 */
export function slug(typed) {
  const plain = typed.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replaceAll("ß", "ss");
  const made = plain.replace(/[^a-z0-9_.-]+/g, "-").replace(/^[^a-z0-9]+/, "");
  return made.slice(0, 64).replace(/-+$/, "") || typed.trim();
}
