/**
 * conv(x) → ReLU, leaky ReLU, Clip, Sigmoid, Mish or HardSwish: the convolution's own activation (parameters 9 and 10).
 * Not Swish: ncnn has no number for it. Integer layers are left as they are; the engine fuses them when it plans.
 */
import { opOf, paramsOf } from "../ir/graph.ts";
import { activationParamsOf } from "../ops/activations.ts";
import { convolution1D } from "../ops/convolution-1d.ts";
import { convolutionDepthWise1D } from "../ops/convolution-depthwise-1d.ts";
import { deconvolution } from "../ops/deconvolution.ts";
import { deconvolutionDepthWise } from "../ops/deconvolution-depthwise.ts";
import { hardSwish } from "../ops/hard-swish.ts";
import { ops } from "../ops/index.ts";
import { mish } from "../ops/mish.ts";
import { eachNode } from "./_fold.ts";
import { foldObstacle, linearOps } from "./_linear.ts";
import { setParams } from "./_params.ts";
import type { Pass } from "./pass.ts";

/** `allows` can leave out combinations of a linear layer and an activation layer. */
function fuseActivations(allows: (linear: string, activation: string) => boolean): Pass {
  return {
    name: "fuse-activation",
    run: (graph, log) =>
      eachNode(graph, linearOps, (node, wiring) => {
        const reader = wiring.soleReader(node);
        const activation = reader && opOf(reader, ops).activation?.(paramsOf(reader, ops));
        const params = activation && activationParamsOf(activation);
        if (!params || !allows(node.type, reader.type)) return;
        const obstacle = foldObstacle(node);
        if (obstacle) {
          log?.(`${reader.type} "${reader.name}" stays: ${node.type} "${node.name}" before it ${obstacle}`);
          return;
        }
        setParams(node, params);
        wiring.absorb(node, reader);
      }),
  };
}

export const fuseActivation = fuseActivations(() => true);

const deconvolutions = [deconvolution.type, deconvolutionDepthWise.type];
/** The combinations that ncnnoptimize knows. */
export const fuseOfficialActivation = fuseActivations((linear, activation) => {
  if (linear === convolutionDepthWise1D.type) return false;
  if (linear === convolution1D.type) return activation !== hardSwish.type;
  return !deconvolutions.includes(linear) || ![mish.type, hardSwish.type].includes(activation);
});
