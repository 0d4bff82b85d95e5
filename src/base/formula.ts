/** What is computed from lists of numbers, as plain data: for those that make code of it. */

/** A number that is computed in double precision. */
export type Formula =
  | number
  /** Place of the row in a grid of `columns`. */
  | "column"
  | "row"
  /** The value of the class in question, as it is; its softmax among those of all classes; and Σ exp(value of a class − its own) over all. */
  | "class"
  | "softmax"
  | "rivals"
  /** Number `value` of the row in a view. */
  | { readonly view: number; readonly value: number }
  /** Σ k·softmax(values)[k] over `count` numbers of the row from `mean` on. */
  | { readonly view: number; readonly mean: number; readonly count: number }
  /** Number of the point in question. */
  | { readonly point: number }
  | readonly ["sigmoid" | "exp" | "tanh" | "sin" | "cos", Formula]
  /** `pow`: of a number from 0 to 1. */
  | readonly ["add" | "sub" | "mul" | "div" | "pow", Formula, Formula];

/** Where the numbers of rows lie in a blob: number v of row r is `first + r·rowStride + v·valueStride`. */
export interface RowView {
  readonly blob: string;
  readonly first: number;
  readonly rowStride: number;
  readonly valueStride: number;
}

/** Rows with a box and a score for each class. */
export interface BoxFormulas {
  readonly rows: number;
  /** Of the grid that the rows are cells of. */
  readonly columns: number;
  readonly views: readonly RowView[];
  /**
   * `count` numbers of a row of which scores are made that order as they do: the class of the best score is looked at, or with `byNumber` that of
   * the greatest number, which may be no better than one before it; of equals the first. With `numbered` there is one number instead, which is that of the class, the first being 1; it is rounded.
   */
  readonly classes: {
    readonly view: number;
    readonly from: number;
    readonly count: number;
    readonly byNumber?: boolean;
    readonly numbered?: boolean;
  };
  /** No score of the row is above it. */
  readonly most?: Formula;
  readonly score: Formula;
  /** Left, top, right, bottom, in pixels of the input. */
  readonly box: readonly [Formula, Formula, Formula, Formula];
  /** There is no box where this is NaN. */
  readonly sound: Formula;
  /** Every class with a score that is high enough counts, not only the best. */
  readonly every: boolean;
  /** Scores are those of the whole picture. */
  readonly whole?: boolean;
  /** What a box has besides: one of these. */
  readonly points?: PointFormulas;
  readonly mask?: MaskPlace;
  /** The box is turned about its middle by that, in radians from the x axis towards the y axis, which points down. */
  readonly angle?: Formula;
}

/** Points of a box: `count` times `step` numbers of a row, from `from` on. */
export interface PointFormulas {
  readonly view: number;
  readonly from: number;
  readonly step: number;
  readonly count: number;
  /** x and y in pixels of the input. */
  readonly place: readonly [Formula, Formula];
  /** How surely it is seen. */
  readonly seen?: Formula;
}

/** Where the coefficients of a box's mask are, and the blob of what they are coefficients of. */
export interface MaskPlace {
  readonly view: number;
  readonly from: number;
  readonly count: number;
  readonly prototypes: string;
  /** Between cells probabilities are interpolated, and not the sums of which they are the sigmoid. */
  readonly probabilities: boolean;
}

export const add = (a: Formula, b: Formula): Formula => ["add", a, b];
export const sub = (a: Formula, b: Formula): Formula => ["sub", a, b];
export const mul = (a: Formula, b: Formula): Formula => ["mul", a, b];
export const div = (a: Formula, b: Formula): Formula => ["div", a, b];
export const pow = (a: Formula, b: Formula): Formula => ["pow", a, b];
export const sigmoidOf = (a: Formula): Formula => ["sigmoid", a];
export const expOf = (a: Formula): Formula => ["exp", a];
export const tanhOf = (a: Formula): Formula => ["tanh", a];
export const sinOf = (a: Formula): Formula => ["sin", a];
export const cosOf = (a: Formula): Formula => ["cos", a];
export const sumOf = (parts: readonly Formula[]): Formula => parts.reduce(add);
