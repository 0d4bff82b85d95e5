/**
 * Masks at the size of the picture, from coefficients and prototypes: as ultralytics' predict makes them with `retina_masks=True`. The
 * sum is brought to the picture bilinearly (over a grid so fine that the border of the letterbox ends between two of its cells), and is
 * cut to the box there. Only what lies in the box is computed. Compiled files carry the text of these functions: they use nothing from outside.
 */

/** A line of cells that another is read from. */
interface Axis {
  /** First cell that is read, and how many are. */
  readonly first: number;
  readonly length: number;
  /** For each place: index of the cell before it and of the one behind it, from `first` on, and the share of the latter. */
  readonly before: Int32Array;
  readonly behind: Int32Array;
  readonly share: Float64Array;
}

/** A mask as `Candidates` have it. */
export interface MaskSums {
  readonly coefficients: ArrayLike<number>;
  /** `[count, height, width]`, a grid of the input. */
  readonly prototypes: { readonly shape: readonly number[]; readonly data: ArrayLike<number> };
  readonly probabilities?: boolean;
}

/** Pixels of the picture. */
export interface PixelWindow {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** How the picture lies in an input of that width (`letterbox.ts`). */
interface Placed {
  readonly sourceWidth: number;
  readonly sourceHeight: number;
  readonly width: number;
  readonly scaleX: number;
  readonly scaleY: number;
  readonly padX: number;
  readonly padY: number;
}

/** Places `start … start + count − 1`; place p lies at `(p + 0.5)·scale − 0.5` between cells `low … high − 1`. */
function axisOf(start: number, count: number, scale: number, low: number, high: number): Axis {
  const [before, behind] = [new Int32Array(count), new Int32Array(count)];
  const share = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const at = Math.min(Math.max((start + i + 0.5) * scale - 0.5, 0), high - low - 1);
    before[i] = Math.max(low + Math.floor(at), 0);
    behind[i] = Math.min(before[i] + 1, high - 1);
    share[i] = at - Math.floor(at);
  }
  const first = before[0];
  const length = behind[count - 1] - first + 1;
  return { first, length, before: before.map((v) => v - first), behind: behind.map((v) => v - first), share };
}

/** Writes into `line`, from `at` on, what `values` `[rows.length, columns.length]` are at the places of row `y` of both axes. */
function resampleRow(
  values: Float64Array,
  columns: Axis,
  rows: Axis,
  y: number,
  line: Float64Array,
  at: number,
): void {
  const { before, behind, share } = columns;
  const top = rows.before[y] * columns.length;
  const bottom = rows.behind[y] * columns.length;
  const down = rows.share[y];
  for (let x = 0; x < share.length; x++) {
    const left = before[x];
    const right = behind[x];
    const across = share[x];
    const upper = values[top + left] * (1 - across) + values[top + right] * across;
    const lower = values[bottom + left] * (1 - across) + values[bottom + right] * across;
    line[at + x] = upper * (1 - down) + lower * down;
  }
}

/** `Σ coefficients·prototypes` of the cells that two axes read, or how far its sigmoid is above a half. */
function sumsOf(
  { coefficients, prototypes, probabilities }: MaskSums,
  columns: Axis,
  rows: Axis,
): Float64Array {
  const [, height, width] = prototypes.shape;
  const out = new Float64Array(columns.length * rows.length);
  const { data } = prototypes;
  for (let k = 0; k < coefficients.length; k++) {
    const coefficient = coefficients[k];
    for (let y = 0, o = 0; y < rows.length; y++) {
      let at = (k * height + rows.first + y) * width + columns.first;
      for (let x = 0; x < columns.length; x++) out[o++] += coefficient * Number(data[at++]);
    }
  }
  if (probabilities) for (let i = 0; i < out.length; i++) out[i] = 1 / (1 + Math.exp(-out[i])) - 0.5;
  return out;
}

/** What `maskBitmap` is made of. */
export const maskParts = { axisOf, resampleRow, sumsOf };

/** The pixels of the window, which lies in the picture, rows from the top: 1 where the mask is, 0 elsewhere. */
export function maskBitmap(
  mask: MaskSums,
  window: PixelWindow,
  placed: Placed,
  { axisOf, resampleRow, sumsOf }: typeof maskParts,
): Uint8Array {
  const { sourceWidth, sourceHeight, width, scaleX, scaleY, padX, padY } = placed;
  const bitmap = new Uint8Array(window.width * window.height);
  if (!bitmap.length) return bitmap;
  const [, rows, columns] = mask.prototypes.shape;
  const stride = width / columns;
  const lines = [
    { source: sourceWidth, inner: Math.round(sourceWidth * scaleX), pad: padX, cells: columns },
    { source: sourceHeight, inner: Math.round(sourceHeight * scaleY), pad: padY, cells: rows },
  ];
  const isWhole = (factor: number): boolean =>
    stride % factor === 0 &&
    lines.every(({ inner, pad }) => !((inner * factor) % stride || (pad * factor) % stride));
  let factor = 1;
  while (factor < stride && !isWhole(factor)) factor++;
  const [across, down] = lines.map(({ source, inner, pad, cells }, i) => {
    const [start, count] = i ? [window.y, window.height] : [window.x, window.width];
    const low = Math.round((pad * factor) / stride);
    const length = Math.round((inner * factor) / stride);
    const fine = axisOf(start, count, length / source, low, Math.min(low + length, cells * factor));
    return { fine, coarse: axisOf(fine.first, fine.length, 1 / factor, 0, cells) };
  });
  const coarse = sumsOf(mask, across.coarse, down.coarse);
  const grid = new Float64Array(across.fine.length * down.fine.length);
  for (let row = 0; row < down.fine.length; row++) {
    resampleRow(coarse, across.coarse, down.coarse, row, grid, row * across.fine.length);
  }
  const line = new Float64Array(window.width);
  for (let row = 0, at = 0; row < window.height; row++) {
    resampleRow(grid, across.fine, down.fine, row, line, 0);
    for (let column = 0; column < window.width; column++, at++) if (line[column] > 0) bitmap[at] = 1;
  }
  return bitmap;
}
