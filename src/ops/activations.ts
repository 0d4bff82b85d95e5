/** Activations fused into convolution-like layers: parameters `activation_type` (9) and `activation_params` (10). */
import type { Activation } from "../base/activation.ts";
import { GraphError } from "../base/errors.ts";
import { floats, int, type ParamValues } from "../ir/op.ts";

export const activationParams = { activation_type: int(9), activation_params: floats(10) };

export const activationTypes = {
  none: 0,
  relu: 1,
  leakyRelu: 2,
  clip: 3,
  sigmoid: 4,
  mish: 5,
  hardSwish: 6,
} as const;

/** What the parameters of a layer say, as an activation; undefined for none (and for a number that there is not). */
export function fusedActivation({
  activation_type,
  activation_params: [a = 0, b = 0],
}: ParamValues<typeof activationParams>): Activation | undefined {
  switch (activation_type) {
    case activationTypes.relu:
      return { kind: "relu" };
    case activationTypes.leakyRelu:
      return { kind: "leakyRelu", slope: a };
    case activationTypes.clip:
      return { kind: "clip", min: a, max: b };
    case activationTypes.sigmoid:
      return { kind: "sigmoid" };
    case activationTypes.mish:
      return { kind: "mish" };
    case activationTypes.hardSwish:
      return { kind: "hardSwish", alpha: a, beta: b };
    default:
      return undefined;
  }
}

/** The parameters with which a layer has this activation; undefined for those that ncnn has no number for. */
export function activationParamsOf(activation: Activation): ParamValues<typeof activationParams> | undefined {
  const fused = (activation_type: number, ...activation_params: number[]) => ({
    activation_type,
    activation_params,
  });
  switch (activation.kind) {
    case "relu":
      return fused(activationTypes.relu);
    case "leakyRelu":
      return fused(activationTypes.leakyRelu, activation.slope);
    case "clip":
      return fused(activationTypes.clip, activation.min, activation.max);
    case "sigmoid":
      return fused(activationTypes.sigmoid);
    case "mish":
      return fused(activationTypes.mish);
    case "hardSwish":
      return fused(activationTypes.hardSwish, activation.alpha, activation.beta);
    default:
      return undefined;
  }
}

/** exp() of more than this overflows float32; ncnn clamps the argument of Sigmoid to it. */
const sigmoidLimit = 88.3762626647949;

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-Math.min(Math.max(x, -sigmoidLimit), sigmoidLimit)));
}

export function mish(x: number): number {
  return x * Math.tanh(Math.log1p(Math.exp(x)) === Number.POSITIVE_INFINITY ? x : Math.log1p(Math.exp(x)));
}

/** clamp(alpha·x + beta, 0, 1), the gate of HardSigmoid and HardSwish. */
export function hardSigmoid(x: number, alpha: number, beta: number): number {
  return Math.min(Math.max(alpha * x + beta, 0), 1);
}

/** The function of an activation type; `undefined` for none. Throws GraphError. */
export function activationFunction(
  type: number,
  params: readonly number[],
): ((x: number) => number) | undefined {
  const [a = 0, b = 0] = params;
  switch (type) {
    case activationTypes.none:
      return undefined;
    case activationTypes.relu:
      return (x) => Math.max(x, 0);
    case activationTypes.leakyRelu:
      return (x) => (x > 0 ? x : x * a);
    case activationTypes.clip:
      return (x) => Math.min(Math.max(x, a), b);
    case activationTypes.sigmoid:
      return sigmoid;
    case activationTypes.mish:
      return mish;
    case activationTypes.hardSwish:
      return (x) => x * hardSigmoid(x, a, b);
    default:
      throw new GraphError(`activation_type is ${type}, expected 0 to 6`);
  }
}
