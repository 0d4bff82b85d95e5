/** Which key points are joined by lines where a pose is drawn. */

/** COCO's limbs of a person, by the numbers of its 17 points (nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles). */
const cocoLimbs: readonly (readonly [number, number])[] = [
  ...([
    [15, 13],
    [13, 11],
    [16, 14],
    [14, 12],
    [11, 12],
    [5, 11],
    [6, 12],
    [5, 6],
  ] as const),
  ...([
    [5, 7],
    [6, 8],
    [7, 9],
    [8, 10],
    [1, 2],
    [0, 1],
    [0, 2],
    [1, 3],
    [2, 4],
    [3, 5],
    [4, 6],
  ] as const),
];

/** Pairs of points; none where it is not known what the points are. */
export const limbsOf = (points: number): readonly (readonly [number, number])[] =>
  points === 17 ? cocoLimbs : [];

/** Points that are seen less surely are not drawn, nor the lines to them. */
export const leastShown = 0.5;
