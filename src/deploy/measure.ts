/** By what the results of each task are compared. */
import { expectKind } from "../base/arguments.ts";
import type { Measure } from "../evaluate/similarity.ts";
import { taskOf } from "../heads/index.ts";
import type { Head, Task } from "../heads/manifest.ts";

/** Classes of pictures are rows whose box is the picture. */
const measures: { readonly [T in Task]: Measure } = {
  detect: "box",
  segment: "mask",
  pose: "points",
  obb: "corners",
  classify: "box",
};

/** What the objects that the heads find are compared by. */
export function measureOf(heads: readonly Head[]): Measure {
  expectKind("measureOf: heads", heads, "a list");
  return measures[taskOf(heads)];
}
