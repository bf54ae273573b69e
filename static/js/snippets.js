// @ts-check
// A task as a program that submits it again. Payloads stay text, so that every digit of them stays as it was. Pure.

import { curl } from "./task_form.js";

/**
 * The body that submits a task like this one.
 * @param {import("./types.d.ts").TaskDocument} task
 */
export function bodyOf(task) {
  const { type, queue, priority, max_attempts, timeout_seconds, backoff_seconds, backoff_cap_seconds } = task;
  const { labels, affinity_key, tags, payload } = task;
  const fields = { type, queue, priority, max_attempts, backoff_seconds, backoff_cap_seconds, labels, affinity_key, tags };
  const rest = JSON.stringify(timeout_seconds === null ? fields : { ...fields, timeout_seconds });
  return `${rest.slice(0, -1)},"payload":${payload}}`;
}

export { curl };

/**
 * The same in Python, with nothing but its standard library.
 * @param {string} origin
 * @param {string} body
 */
export function python(origin, body) {
  // What JSON writes as a string, Python reads as one.
  return `import os
import urllib.request

body = ${JSON.stringify(body)}
request = urllib.request.Request(
    ${JSON.stringify(`${origin}/api/v1/tasks`)},
    data=body.encode(),
    headers={
        "Authorization": "Bearer " + os.environ["TASKDIST_TOKEN"],
        "Content-Type": "application/json",
    },
)
with urllib.request.urlopen(request, timeout=30) as answer:
    print(answer.read().decode())
`;
}
