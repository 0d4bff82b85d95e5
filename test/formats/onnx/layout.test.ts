import { expect, test } from "vitest";
import { broadcastOver } from "../../../src/formats/onnx/lower/layout.ts";

test.each([
  // Anchors over decoded boxes whose rows and columns are one axis.
  [
    [3, 400, 2],
    [1, 3, 20, 20, 2],
    [1, 3, 1, 1, 2],
    [3, 1, 2],
  ],
  [[3, 400, 2], [1, 3, 20, 20, 2], [2], [1, 1, 2]],
  [
    [6, 8, 10],
    [1, 6, 8, 10],
    [6, 1, 1],
    [6, 1, 1],
  ],
  [[480], [1, 6, 8, 10], [1], [1]],
  [
    [6, 1, 80],
    [1, 6, 8, 10],
    [8, 10],
    [1, 1, 80],
  ],
  // A part of a joined axis.
  [[6, 80], [1, 6, 8, 10], [10], undefined],
  // The larger one is repeated too, also where numbers happen to agree.
  [[6], [6, 1], [1, 8], undefined],
  [[6], [6, 1], [1, 6], undefined],
  [[6, 8], [6, 8], [3, 6, 8], undefined],
])("blob %j of a value %j with %j is seen as %j", (blob, shape, other, view) => {
  expect(broadcastOver(blob, shape, other)).toEqual(view);
});
