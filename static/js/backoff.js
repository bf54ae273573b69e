// @ts-check
// When to try again after a lost connection.

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/**
 * The pause before attempt `failures` + 1: full jitter, so that the tabs of a restarted server do not come all at once.
 * @param {number} failures attempts that failed in a row, from 0
 * @param {number} random from 0 to 1
 */
export const pauseMs = (failures, random) => random * Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 16));
