/** Activations, by themselves and fused into other layers. */
import { activationTypes } from "../../../ops/activations.ts";
import { float, type OnnxAttribute } from "../model.ts";
import { type Exporter, type ExportRule, input, inputShape, simple } from "./context.ts";

/** Applies a fused activation to `value`; the result is the layer's output. */
function activate(e: Exporter, value: string): void {
  const [a = 0, b = 0] = e.list("activation_params");
  switch (e.number("activation_type")) {
    case activationTypes.none:
      e.result("Identity", [value]);
      return;
    case activationTypes.relu:
      e.result("Relu", [value]);
      return;
    case activationTypes.leakyRelu:
      e.result("LeakyRelu", [value], { alpha: float(a) });
      return;
    case activationTypes.clip:
      e.result("Clip", [value, e.scalar("min", a), e.scalar("max", b)]);
      return;
    case activationTypes.sigmoid:
      e.result("Sigmoid", [value]);
      return;
    case activationTypes.mish:
      mishOf(e, value);
      return;
    case activationTypes.hardSwish:
      hardSwishOf(e, value, a, b);
      return;
    default:
      e.unsupported(`activation ${e.number("activation_type")}`);
  }
}

/** Emits a weighted layer, then its activation where it has one. */
export function withActivation(
  e: Exporter,
  opType: string,
  inputs: readonly string[],
  attributes: Record<string, OnnxAttribute>,
): void {
  if (e.number("activation_type") === activationTypes.none) e.result(opType, inputs, attributes);
  else activate(e, e.add(opType, inputs, attributes));
}

function mishOf(e: Exporter, value: string): void {
  const gate = e.add("Tanh", [e.add("Softplus", [value])]);
  e.result("Mul", [value, gate]);
}
function hardSwishOf(e: Exporter, value: string, alpha: number, beta: number): void {
  const gate = e.add("HardSigmoid", [value], { alpha: float(alpha), beta: float(beta) });
  e.result("Mul", [value, gate]);
}
const gelu: ExportRule = (e) => {
  const x = input(e);
  const inner = e.number("fast_gelu")
    ? e.add("Tanh", [
        e.add("Mul", [
          e.add("Add", [
            x,
            e.add("Mul", [e.add("Pow", [x, e.scalar("three", 3)]), e.scalar("cubic", 0.044715)]),
          ]),
          e.scalar("factor", Math.sqrt(2 / Math.PI)),
        ]),
      ])
    : e.add("Erf", [e.add("Div", [x, e.scalar("root", Math.SQRT2)])]);
  const gate = e.add("Add", [inner, e.scalar("one", 1)]);
  e.result("Mul", [e.add("Mul", [x, gate]), e.scalar("half", 0.5)]);
};
const relu: ExportRule = (e) => {
  const slope = e.number("slope");
  if (slope === 0) e.result("Relu", [input(e)]);
  else e.result("LeakyRelu", [input(e)], { alpha: float(slope) });
};
const prelu: ExportRule = (e) => {
  const n = e.number("num_slope");
  const inner = inputShape(e).length - 1;
  const dims = n === 1 ? [1] : [n, ...new Array<number>(inner).fill(1)];
  e.result("PRelu", [input(e), e.weight("slope", dims)]);
};

const slopes = (e: Exporter): Record<string, OnnxAttribute> => ({
  alpha: float(e.number("alpha")),
  beta: float(e.number("beta")),
});

export const activations: Record<string, ExportRule> = {
  CELU: simple("Celu", (e) => ({ alpha: float(e.number("alpha")) })),
  Clip: (e) => {
    e.result("Clip", [input(e), e.scalar("min", e.number("min")), e.scalar("max", e.number("max"))]);
  },
  ELU: simple("Elu", (e) => ({ alpha: float(e.number("alpha")) })),
  GELU: gelu,
  HardSigmoid: simple("HardSigmoid", slopes),
  HardSwish: (e) => hardSwishOf(e, input(e), e.number("alpha"), e.number("beta")),
  Mish: (e) => mishOf(e, input(e)),
  PReLU: prelu,
  ReLU: relu,
  SELU: simple("Selu", (e) => ({ alpha: float(e.number("alpha")), gamma: float(e.number("lambda")) })),
  Sigmoid: simple("Sigmoid"),
  Softplus: simple("Softplus"),
  Swish: (e) => {
    e.result("Mul", [input(e), e.add("Sigmoid", [input(e)])]);
  },
  TanH: simple("Tanh"),
};
