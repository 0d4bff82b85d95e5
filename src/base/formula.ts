/** What is computed from lists of numbers, as plain data: for those that make code of it. */

/** A number that is computed in double precision. */
export type Formula =
  | number
  /** Place of the row in a grid of `columns`. */
  | "column"
  | "row"
  /** The value of the class in question, as it is, and its softmax among those of all classes. */
  | "class"
  | "softmax"
  /** Number `value` of the row in a view. */
  | { readonly view: number; readonly value: number }
  /** Σ k·softmax(values)[k] over `count` numbers of the row from `mean` on. */
  | { readonly view: number; readonly mean: number; readonly count: number }
  | readonly ["sigmoid" | "exp" | "tanh", Formula]
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
  /** `count` numbers of a row that order classes: the greatest one, of equals the first, is that of the best class. */
  readonly classes: { readonly view: number; readonly from: number; readonly count: number };
  /** No score of the row is above it. */
  readonly most?: Formula;
  readonly score: Formula;
  /** Left, top, right, bottom, in pixels of the input. */
  readonly box: readonly [Formula, Formula, Formula, Formula];
  /** Every class with a score that is high enough counts, not only the best. */
  readonly every: boolean;
}

export const add = (a: Formula, b: Formula): Formula => ["add", a, b];
export const sub = (a: Formula, b: Formula): Formula => ["sub", a, b];
export const mul = (a: Formula, b: Formula): Formula => ["mul", a, b];
export const div = (a: Formula, b: Formula): Formula => ["div", a, b];
export const pow = (a: Formula, b: Formula): Formula => ["pow", a, b];
export const sigmoidOf = (a: Formula): Formula => ["sigmoid", a];
export const expOf = (a: Formula): Formula => ["exp", a];
export const tanhOf = (a: Formula): Formula => ["tanh", a];
