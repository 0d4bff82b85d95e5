/**
 * The rewrites in order. A pipeline is a list that is read from top to bottom; beside an entry stands why it is where it is.
 */
import { inContext } from "../base/errors.ts";
import { type Graph, verify } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import { ops } from "../ops/index.ts";
import { dropBroadcastReshape } from "./drop-broadcast-reshape.ts";
import { dropDropout, dropFlatten, dropIdentities, dropNoop, dropUnitPooling } from "./drop-identities.ts";
import { dropUnreadConstants, keepOutputs } from "./drop-unread.ts";
import { makeSizesDynamic } from "./dynamic-sizes.ts";
import { foldBatchNorm } from "./fold-batch-norm.ts";
import { foldConstant, foldScalar } from "./fold-constant.ts";
import { foldDropout } from "./fold-dropout.ts";
import { foldScale } from "./fold-scale.ts";
import { fuseActivation, fuseOfficialActivation } from "./fuse-activation.ts";
import { fuseScalarOperand } from "./fuse-scalar-operand.ts";
import { fuseSelfGate } from "./fuse-self-gate.ts";
import { fuseWeightedSum } from "./fuse-weighted-sum.ts";
import { mergeBranches } from "./merge-branches.ts";
import { mergeClips } from "./merge-clips.ts";
import { mergeCrops } from "./merge-crops.ts";
import { mergeFocus } from "./merge-focus.ts";
import { mergePermutes } from "./merge-permutes.ts";
import { mergeScale } from "./merge-scale.ts";
import { mergeViews } from "./merge-views.ts";
import type { Log, Pass } from "./pass.ts";
import { poolMeans, poolOfficialMeans } from "./pool-means.ts";
import { replacePrelu } from "./replace-prelu.ts";
import { replaceVectorConvolution, withoutVectorConvolutions } from "./replace-vector-convolution.ts";
import { sinkVectorReshape } from "./sink-vector-reshape.ts";
import { storeFp16, storeFp32 } from "./store-weights.ts";
import { swapPermuteSoftmax } from "./swap-permute-softmax.ts";

export type { Log, Pass } from "./pass.ts";
export {
  dropBroadcastReshape,
  dropIdentities,
  dropUnreadConstants,
  foldBatchNorm,
  foldConstant,
  foldDropout,
  foldScalar,
  foldScale,
  fuseActivation,
  fuseScalarOperand,
  fuseSelfGate,
  fuseWeightedSum,
  keepOutputs,
  makeSizesDynamic,
  mergeBranches,
  mergeClips,
  mergeCrops,
  mergeFocus,
  mergePermutes,
  mergeScale,
  mergeViews,
  poolMeans,
  replacePrelu,
  replaceVectorConvolution,
  sinkVectorReshape,
  storeFp16,
  storeFp32,
  swapPermuteSoftmax,
  withoutVectorConvolutions,
};

export interface OptimizeOptions {
  /** Leave Reorg (Focus) layers before convolutions as they are. */
  readonly keepFocus?: boolean;
  /** Leave fixed sizes in Reshape and Interp as they are. */
  readonly staticSizes?: boolean;
  /** Input shapes that fixed sizes were made for, where the Input nodes do not hold them. */
  readonly inputShapes?: Record<string, Shape>;
  /** Store large weights as float16. */
  readonly fp16?: boolean;
}

/** What ncnnkit does by default. Run it with `runPasses`. */
export function optimizePasses(options: OptimizeOptions = {}): Pass[] {
  return [
    // Needs sizes as the file has them, before reshapes are merged or moved.
    ...(options.staticSizes ? [] : [makeSizesDynamic(options.inputShapes)]),
    // One spelling for constants and limits, so that the patterns below have fewer forms to know.
    fuseScalarOperand,
    replacePrelu,
    dropIdentities,
    mergeClips,
    // Before scalars are folded and activations fused, which would take a gate apart.
    fuseSelfGate,
    // Everything affine goes into the weights ...
    mergeScale,
    foldBatchNorm,
    foldScale,
    foldConstant,
    foldScalar,
    foldDropout,
    // ... what is left of scalars may be coefficients of a sum.
    fuseWeightedSum,
    // Branches must have lost their BatchNorm, and an activation on one would forbid the sum.
    mergeBranches,
    ...(options.keepFocus ? [] : [mergeFocus]),
    fuseActivation,
    // Global pooling and what works on its vector; convolutions have their activations by now, which go with them.
    poolMeans,
    replaceVectorConvolution,
    sinkVectorReshape,
    dropBroadcastReshape,
    mergeViews,
    // Before Permutes are merged: it brings two together.
    swapPermuteSoftmax,
    mergePermutes,
    mergeCrops,
    dropUnreadConstants,
    ...(options.fp16 ? [storeFp16] : []),
  ];
}

export const optimize: readonly Pass[] = optimizePasses();

/**
 * The rewrites of the official ncnnoptimize, in its order, except that nothing is fused behind an activation or into an int8
 * layer. `fp16` is its flag 65536. Run with `rounds` 1, as the tool does.
 */
export function ncnnoptimizePasses({ fp16 = false } = {}): Pass[] {
  return [
    mergeScale,
    foldBatchNorm,
    foldConstant,
    foldDropout,
    poolOfficialMeans,
    replacePrelu,
    fuseOfficialActivation,
    fuseScalarOperand,
    fuseWeightedSum,
    dropDropout,
    dropUnitPooling,
    dropNoop,
    dropFlatten,
    dropBroadcastReshape,
    replaceVectorConvolution,
    dropFlatten,
    dropUnreadConstants,
    fp16 ? storeFp16 : storeFp32,
  ];
}

export interface PassResult {
  readonly pass: string;
  readonly rewrites: number;
}

/**
 * Runs the passes on the graph, in place, over and over until none finds anything (at most `rounds` times), and checks the
 * graph after every one that changed it. Returns the number of rewrites of each pass, in order. `log` gets near misses,
 * each once, with the pass's name in front. The graph must have its weights. Throws GraphError.
 */
export function runPasses(graph: Graph, passes: readonly Pass[], log?: Log, rounds = 8): PassResult[] {
  const said = new Set<string>();
  const rewrites = passes.map(() => 0);
  verify(graph, ops);
  for (let round = 0; round < rounds; round++) {
    let found = 0;
    for (const [i, pass] of passes.entries()) {
      const count = pass.run(graph, (message) => {
        const line = `${pass.name}: ${message}`;
        if (!said.has(line)) log?.(line);
        said.add(line);
      });
      if (count > 0) verifyAfter(pass, graph);
      rewrites[i] += count;
      found += count;
    }
    if (found === 0) break;
  }
  return passes.map((pass, i) => ({ pass: pass.name, rewrites: rewrites[i] }));
}

function verifyAfter(pass: Pass, graph: Graph): void {
  inContext(`after ${pass.name}`, () => verify(graph, ops));
}
