// @ts-check
// A list that the server renders, fetched again in place.

import { byId } from "./dom.js";

/**
 * Replace the content and the data-* attributes of the element by what the page has there now.
 * @param {string} id
 * @returns {Promise<boolean>} false: it is not there any more, and the page is loaded anew
 */
export async function renew(id) {
  const answer = await fetch(byId(id).dataset.address || location.href, { headers: { Accept: "text/html" } });
  const page = answer.ok && !answer.redirected ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
  const fresh = page?.getElementById(id);
  if (!fresh) {
    location.reload();
    return false;
  }
  const list = byId(id);
  for (const [name, value] of Object.entries(fresh.dataset)) list.dataset[name] = value;
  list.replaceChildren(...fresh.childNodes);
  return true;
}
