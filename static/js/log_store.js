// @ts-check
// The log lines of a task as far as this tab has them: in order, each once, and what is still missing. Pure.

/** Lines in memory; beyond that the oldest are let go. */
export const MAX_LINES = 50_000;

/**
 * @typedef {object} Line
 * @property {string} id
 * @property {number} attempt
 * @property {number} n
 * @property {string} at
 * @property {string} level
 * @property {string} text
 * @typedef {object} AttemptLog
 * @property {Line[]} lines
 * @property {Set<number>} known
 * @property {number} complete Every line up to this number is here.
 * @property {number} last The number of its last line, as the server says.
 */

export class LogStore {
  /** @type {Map<number, AttemptLog>} */
  #attempts = new Map();
  size = 0;
  /** Older lines than those in memory were let go, or not asked for. */
  isCut = false;

  /** The attempts that have lines, in order. */
  get attempts() {
    return [...this.#attempts.keys()].sort((a, b) => a - b);
  }

  /** How many lines there are in all, here or not. */
  get total() {
    return [...this.#attempts.values()].reduce((sum, log) => sum + Math.max(log.last, log.lines.length), 0);
  }

  /**
   * Take in the end of the log, as a live document has it. True if lines came or went.
   * @param {Line[]} tail the last lines of all attempts, in order
   * @param {{attempt: number, last: number}[]} ends
   */
  take(tail, ends) {
    const before = this.size;
    for (const { attempt, last } of ends) {
      const log = this.#log(attempt);
      log.last = Math.max(log.last, last);
    }
    for (let from = 0; from < tail.length; ) {
      const { attempt, n } = tail[from];
      let to = from;
      while (to < tail.length && tail[to].attempt === attempt) to += 1;
      const log = this.#log(attempt);
      // Only of the first attempt in it may the tail lack the beginning.
      const joins = from > 0 || n <= log.complete + 1;
      this.#add(log, tail.slice(from, to));
      if (joins) log.complete = Math.max(log.complete, tail[to - 1].n);
      log.last = Math.max(log.last, tail[to - 1].n);
      from = to;
    }
    return this.#trim() || this.size !== before;
  }

  /**
   * Take in a page of one attempt that was asked for.
   * @param {number} attempt
   * @param {number} after
   * @param {Line[]} lines
   * @param {boolean} isEnd nothing came after it when it was read
   */
  page(attempt, after, lines, isEnd) {
    const log = this.#log(attempt);
    this.#add(log, lines);
    const to = lines.at(-1)?.n ?? after;
    if (after <= log.complete) log.complete = Math.max(log.complete, to);
    while (log.known.has(log.complete + 1)) log.complete += 1;
    // A node may have left numbers out: what the server has not, nobody needs to ask for again.
    if (isEnd) log.last = log.complete = Math.max(to, log.lines.at(-1)?.n ?? 0);
    this.#trim();
  }

  /**
   * The page to ask for next: of one attempt, or (0) of the newest that lacks any. Null: nothing is missing.
   * @param {number} attempt
   * @returns {{attempt: number, after: number} | null}
   */
  missing(attempt) {
    for (const number of attempt ? [attempt] : this.attempts.reverse()) {
      const log = this.#attempts.get(number);
      if (!log || log.complete >= log.last) continue;
      if (this.size >= MAX_LINES) {
        this.isCut = true;
        return null;
      }
      return { attempt: number, after: log.complete };
    }
    return null;
  }

  /**
   * The lines of one attempt, or (0) of all.
   * @param {number} attempt
   * @returns {Line[]}
   */
  lines(attempt) {
    if (attempt) return this.#attempts.get(attempt)?.lines ?? [];
    return this.attempts.flatMap((number) => this.#log(number).lines);
  }

  /** @param {number} attempt */
  #log(attempt) {
    let log = this.#attempts.get(attempt);
    if (!log) {
      log = { lines: [], known: new Set(), complete: 0, last: 0 };
      this.#attempts.set(attempt, log);
    }
    return log;
  }

  /**
   * @param {AttemptLog} log
   * @param {Line[]} lines
   */
  #add(log, lines) {
    const fresh = lines.filter(({ n }) => !log.known.has(n));
    if (!fresh.length) return;
    const isInOrder = (log.lines.at(-1)?.n ?? 0) < fresh[0].n;
    for (const line of fresh) {
      log.known.add(line.n);
      log.lines.push(line);
    }
    if (!isInOrder) log.lines.sort((a, b) => a.n - b.n);
    this.size += fresh.length;
  }

  /** Let the oldest lines go. True if there were too many. */
  #trim() {
    let excess = this.size - MAX_LINES;
    if (excess <= 0) return false;
    this.isCut = true;
    for (const number of this.attempts) {
      const log = this.#log(number);
      // Their numbers stay known: nobody asks for them again.
      const gone = log.lines.splice(0, Math.min(excess, log.lines.length));
      this.size -= gone.length;
      excess -= gone.length;
      if (excess <= 0) break;
    }
    return true;
  }
}
