/** Words for people. */

/** `1 picture`, `2 pictures`, `3 boxes`. */
export const counted = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? "" : noun.endsWith("x") ? "es" : "s"}`;
