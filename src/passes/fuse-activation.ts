/**
 * conv(x) → ReLU, leaky ReLU, Clip, Sigmoid, Mish or HardSwish: the convolution's own activation (parameters 9 and 10).
 * Not Swish: ncnn has no number for it. Integer layers are left as they are; the engine fuses them when it plans.
 */
import type { Node } from "../ir/graph.ts";
import { activationTypes } from "../ops/_activation.ts";
import { eachNode } from "./_fold.ts";
import { foldObstacle, linearTypes } from "./_linear.ts";
import { num, setParams } from "./_params.ts";
import type { Pass } from "./pass.ts";

interface Activation {
  readonly activation_type: number;
  readonly activation_params: readonly number[];
}

/** The fused form of a layer, or undefined where there is none. */
function activationOf(node: Node): Activation | undefined {
  const fused = (activation_type: number, names: readonly string[] = []): Activation => ({
    activation_type,
    activation_params: names.map((name) => num(node, name)),
  });
  switch (node.type) {
    case "ReLU":
      return num(node, "slope") === 0
        ? fused(activationTypes.relu)
        : fused(activationTypes.leakyRelu, ["slope"]);
    case "Clip":
      return fused(activationTypes.clip, ["min", "max"]);
    case "Sigmoid":
      return fused(activationTypes.sigmoid);
    case "Mish":
      return fused(activationTypes.mish);
    case "HardSwish":
      return fused(activationTypes.hardSwish, ["alpha", "beta"]);
    default:
      return undefined;
  }
}

/** `allows` can leave out combinations of a linear layer and an activation layer. */
function fuseActivations(allows: (linear: string, activation: string) => boolean): Pass {
  return {
    name: "fuse-activation",
    run: (graph, log) =>
      eachNode(graph, [...linearTypes], (node, wiring) => {
        const reader = wiring.soleReader(node);
        const activation = reader && activationOf(reader);
        if (!activation || !allows(node.type, reader.type)) return;
        const obstacle = foldObstacle(node);
        if (obstacle) {
          log?.(`${reader.type} "${reader.name}" stays: ${node.type} "${node.name}" before it ${obstacle}`);
          return;
        }
        setParams(node, { ...activation });
        wiring.absorb(node, reader);
      }),
  };
}

export const fuseActivation = fuseActivations(() => true);

const deconvolutions = ["Deconvolution", "DeconvolutionDepthWise"];
/** The combinations that ncnnoptimize knows. */
export const fuseOfficialActivation = fuseActivations((linear, activation) => {
  if (linear === "ConvolutionDepthWise1D") return false;
  if (linear === "Convolution1D") return activation !== "HardSwish";
  return !deconvolutions.includes(linear) || !["Mish", "HardSwish"].includes(activation);
});
