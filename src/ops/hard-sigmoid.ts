/** HardSigmoid: clamp(alpha·x + beta, 0, 1). The default alpha is 0.2, not 1/6. */
import { float } from "../ir/op.ts";
import { elementwise } from "./_elementwise.ts";
import { hardSigmoid as f } from "./activations.ts";

export const hardSigmoidParams = { alpha: float(0, 0.2), beta: float(1, 0.5) };

export const hardSigmoid = elementwise(
  "HardSigmoid",
  65,
  hardSigmoidParams,
  ({ alpha, beta }) =>
    (x) =>
      f(x, alpha, beta),
  { activation: ({ alpha, beta }) => ({ kind: "hardSigmoid", alpha, beta }) },
);
