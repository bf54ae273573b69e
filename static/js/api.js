// @ts-check
// Requests to the REST API with the page's session. Every failure becomes an ApiError with words for people.

import { t } from "./strings.js";

/** @typedef {{index?: number, field?: string, message: string}} FieldError */

export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status 0 if the server was not reached
   * @param {FieldError[]} [errors]
   */
  constructor(message, status, errors = []) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

/** The cookie's is the one in force: signing in again, in whatever tab, makes a new one. */
function csrfToken() {
  const cookie = document.cookie.split("; ").find((one) => one.startsWith("taskdist_csrf="));
  return cookie?.slice(cookie.indexOf("=") + 1) ?? document.querySelector('meta[name="csrf-token"]')?.getAttribute("content") ?? "";
}

/**
 * What to tell people of an answer that is not a success.
 * @param {Response} answer
 */
async function failure(answer) {
  /** @type {any} */
  let problem = {};
  try {
    problem = await answer.json();
  } catch {
    // Not from the API: a proxy's page, or nothing. The status has to do.
  }
  if (answer.status === 401) return new ApiError(t("error.signed_out"), 401);
  const fallback = answer.status === 403 ? t("error.forbidden") : t("error.failed", { status: answer.status });
  return new ApiError(problem.detail || problem.title || fallback, answer.status, problem.errors ?? []);
}

/**
 * GET `/api/v1/<path>`; the answer's JSON. Throws ApiError.
 * @param {string} path
 * @returns {Promise<any>}
 */
export const get = async (path) => JSON.parse(await getText(path));

/**
 * The same as the text that it is, exact to the digit.
 * @param {string} path
 */
export async function getText(path) {
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}`, { credentials: "same-origin", headers: { Accept: "application/json" } });
  } catch {
    throw new ApiError(t("error.network"), 0);
  }
  if (!answer.ok) throw await failure(answer);
  return answer.text();
}

/**
 * PATCH `/api/v1/<path>` with `body`; the answer's JSON. Throws ApiError.
 * @param {string} path
 * @param {any} body
 * @returns {Promise<any>}
 */
export const patch = (path, body) => send("PATCH", path, body);

/**
 * POST `body` to `/api/v1/<path>`; the answer's JSON. Throws ApiError.
 * @param {string} path
 * @param {any} [body] an object, or JSON text that goes out as it is
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
export const post = (path, body = {}, headers = {}) => send("POST", path, body, headers);

/**
 * @param {string} method
 * @param {string} path
 * @param {any} body
 * @param {Record<string, string>} [headers]
 */
async function send(method, path, body, headers = {}) {
  let answer;
  try {
    answer = await fetch(`/api/v1/${path}`, {
      method,
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrfToken(), ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(t("error.network"), 0);
  }
  if (!answer.ok) throw await failure(answer);
  return answer.status === 204 ? null : answer.json();
}

/** What makes a request the same one when it is sent again. */
export const newKey = () =>
  // Not randomUUID(): that is missing where the page is not served over https.
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
