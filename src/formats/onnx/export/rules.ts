/** One rule per ncnn layer type: its equivalent in ONNX opset 17. */
import { activations } from "./activation.ts";
import { arithmetic } from "./arithmetic.ts";
import type { ExportRule } from "./context.ts";
import { matrices } from "./matrix.ts";
import { moves } from "./move.ts";
import { pictures } from "./picture.ts";

export const exportRules: Record<string, ExportRule> = {
  ...activations,
  ...arithmetic,
  ...matrices,
  ...moves,
  ...pictures,
};
