/** The lists of operators for docs/onnx.md. */
import { evaluators } from "../../../src/formats/onnx/evaluate.ts";
import { exportRules } from "../../../src/formats/onnx/export/rules.ts";
import { supportedOperators } from "../../../src/formats/onnx/index.ts";

/** Names that only patterns of several operators make. */
const internal = new Set(["GroupNorm", "Linear", "MatMulTransposed", "Reorg", "Swish"]);

export function operatorLists(): string {
  const lowered = supportedOperators.filter((name) => !internal.has(name));
  const folded = Object.keys(evaluators)
    .filter((name) => !lowered.includes(name))
    .sort();
  const exported = Object.keys(exportRules).sort();
  return `Operators with a form in ncnn (${lowered.length}): ${lowered.join(", ")}.

Also computed on constants, as in shape arithmetic (${folded.length}): ${folded.join(", ")}; Constant, Shape, and If with a constant condition.

Layers that \`export\` can write (${exported.length}): ${exported.join(", ")}.
`;
}
