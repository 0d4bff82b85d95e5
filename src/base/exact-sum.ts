/**
 * Sums that do not depend on the order of what is added: no rounding until the sum is read. A sum is kept as doubles that do not
 * overlap (Shewchuk 1997), two or three as a rule.
 */

/** Sums side by side, all 0 at first. */
export class ExactSums {
  readonly length: number;
  private readonly parts: number[][];
  /** What is not finite is summed apart: NaN, or an infinity. */
  private readonly broken = new Map<number, number>();

  constructor(length: number) {
    this.length = length;
    this.parts = Array.from({ length }, () => []);
  }

  add(index: number, value: number): void {
    if (!Number.isFinite(value)) {
      this.broken.set(index, (this.broken.get(index) ?? 0) + value);
      return;
    }
    const parts = this.parts[index];
    let high = value;
    let kept = 0;
    for (let i = 0; i < parts.length; i++) {
      let low = parts[i];
      if (Math.abs(high) < Math.abs(low)) [high, low] = [low, high];
      const sum = high + low;
      low -= sum - high;
      if (low !== 0) parts[kept++] = low;
      high = sum;
    }
    parts.length = kept;
    if (high !== 0) parts.push(high);
  }

  merge(other: ExactSums): void {
    for (const [index, parts] of other.parts.entries()) for (const part of parts) this.add(index, part);
    for (const [index, value] of other.broken) this.add(index, value);
  }

  /** The double nearest to the sum; of two that are equally near the even one. */
  value(index: number): number {
    return this.broken.get(index) ?? rounded(this.parts[index]);
  }

  get values(): Float64Array {
    return Float64Array.from({ length: this.length }, (_, index) => this.value(index));
  }

  /** The sums as plain data, the same for the same sums. */
  write(): WrittenSums {
    const counts = new Uint8Array(this.length);
    const parts: number[] = [];
    for (let index = 0; index < this.length; index++) {
      const special = this.broken.get(index);
      const rest = new ExactSums(1);
      if (special === undefined) for (const part of this.parts[index]) rest.add(0, part);
      else parts.push(special);
      // The nearest double first, then that of what is left.
      for (let nearest = rest.value(0); nearest !== 0; nearest = rest.value(0)) {
        parts.push(nearest);
        rest.add(0, -nearest);
        counts[index]++;
      }
      if (special !== undefined) counts[index] = 1;
    }
    return { counts, parts: Float64Array.from(parts) };
  }

  static read({ counts, parts }: WrittenSums): ExactSums {
    const sums = new ExactSums(counts.length);
    let at = 0;
    for (const [index, count] of counts.entries()) {
      for (let k = 0; k < count; k++) sums.add(index, parts[at++]);
    }
    return sums;
  }
}

/** How many doubles make each sum, and those of all sums in turn. */
export interface WrittenSums {
  readonly counts: Uint8Array;
  readonly parts: Float64Array;
}

/** Of parts that do not overlap, the smallest first. */
function rounded(parts: readonly number[]): number {
  let left = parts.length;
  if (left === 0) return 0;
  let high = parts[--left];
  let low = 0;
  while (left > 0 && low === 0) {
    const part = parts[--left];
    const sum = high + part;
    low = part - (sum - high);
    high = sum;
  }
  // Halfway between two doubles, what is below decides.
  if (left > 0 && low < 0 === parts[left - 1] < 0) {
    const doubled = low * 2;
    const sum = high + doubled;
    if (sum - high === doubled) return sum;
  }
  return high;
}
