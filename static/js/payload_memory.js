// @ts-check
// Payloads that this browser keeps by task type: the last one that was submitted, and named templates. Not on the server.

const LAST = "taskdist-payload:";
const NAMED = "taskdist-templates:";

/** @param {string} key */
function get(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string} value */
function put(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Storage is off or full: it is not remembered, nothing else is lost.
  }
}

/** @param {string} type */
export const lastOf = (type) => get(LAST + type);

/** @param {string} type @param {string} json */
export const keepLast = (type, json) => put(LAST + type, json);

/** @param {string} type @returns {Record<string, string>} payloads as JSON text, by name */
export function templatesOf(type) {
  try {
    return JSON.parse(get(NAMED + type) ?? "{}");
  } catch {
    return {};
  }
}

/** Keep a template; without `json` it is forgotten. @param {string} type @param {string} name @param {string} [json] */
export function keepTemplate(type, name, json) {
  const { [name]: _, ...others } = templatesOf(type);
  put(NAMED + type, JSON.stringify(json === undefined ? others : { ...others, [name]: json }));
}
