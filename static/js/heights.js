// @ts-check
// Heights of very many rows, of which most were never on the screen: where a row begins, and which row is at a place,
// without walking through them (a Fenwick tree). Pure.

export class Heights {
  #sizes;
  #tree;

  /** @param {ArrayLike<number>} sizes in px */
  constructor(sizes) {
    this.length = sizes.length;
    this.total = 0;
    this.#sizes = Float64Array.from(sizes);
    this.#tree = new Float64Array(sizes.length + 1);
    for (let i = 0; i < sizes.length; i += 1) {
      this.total += sizes[i];
      this.#tree[i + 1] += sizes[i];
      const above = i + 1 + ((i + 1) & -(i + 1));
      if (above <= sizes.length) this.#tree[above] += this.#tree[i + 1];
    }
  }

  /** @param {number} index */
  size(index) {
    return this.#sizes[index];
  }

  /**
   * Row `index` is `size` px high after all. True if that is new.
   * @param {number} index
   * @param {number} size
   */
  set(index, size) {
    const difference = size - this.#sizes[index];
    if (Math.abs(difference) < 0.01) return false;
    this.#sizes[index] = size;
    this.total += difference;
    for (let i = index + 1; i <= this.length; i += i & -i) this.#tree[i] += difference;
    return true;
  }

  /** Where row `index` begins, in px; the end of the last one for one too many. @param {number} index */
  offset(index) {
    let sum = 0;
    for (let i = index; i > 0; i -= i & -i) sum += this.#tree[i];
    return sum;
  }

  /** The row that covers `y` px: the last one below the end, 0 above the first. @param {number} y */
  indexAt(y) {
    let place = 0;
    let rest = y;
    for (let step = 2 ** Math.floor(Math.log2(Math.max(this.length, 1))); step; step >>= 1) {
      const next = place + step;
      if (next <= this.length && this.#tree[next] <= rest) {
        place = next;
        rest -= this.#tree[next];
      }
    }
    return Math.max(Math.min(place, this.length - 1), 0);
  }
}
