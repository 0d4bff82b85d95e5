/** HardSwish: x·clamp(alpha·x + beta, 0, 1). */

import { elementwise } from "./_elementwise.ts";
import { hardSigmoid } from "./activations.ts";
import { hardSigmoidParams } from "./hard-sigmoid.ts";

export const hardSwish = elementwise(
  "HardSwish",
  67,
  hardSigmoidParams,
  ({ alpha, beta }) =>
    (x) =>
      x * hardSigmoid(x, alpha, beta),
  { activation: ({ alpha, beta }) => ({ kind: "hardSwish", alpha, beta }) },
);
