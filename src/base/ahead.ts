/**
 * Reads a list one ahead: pairs of an entry and what `begin` promises of it, which is begun when the entry before is given, so that
 * it is read while that one is looked at. A failure is heard of when it is its turn, if it comes.
 */
export function* ahead<T, R>(
  list: readonly T[],
  begin: (entry: T) => Promise<R>,
): Generator<readonly [T, Promise<R>]> {
  let reading: Promise<R> | undefined;
  for (const [i, entry] of list.entries()) {
    const current = reading ?? begin(entry);
    reading = i + 1 < list.length ? begin(list[i + 1]) : undefined;
    reading?.catch(() => {});
    yield [entry, current];
  }
}
