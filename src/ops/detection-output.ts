/**
 * DetectionOutput: SSD's decoding and suppression. Inputs: location offsets, class scores, prior boxes.
 * Result [rows, 6]: label, score, x0, y0, x1, y1, best first, at most keep_top_k rows; none gives 0 rows.
 * Source: ncnn src/layer/detectionoutput.cpp.
 */
import { GraphError } from "../base/errors.ts";
import { defineOp, float, int, type ParamValues } from "../ir/op.ts";
import { elementCount, type Shape, type Tensor } from "../ir/tensor.ts";
import { type Box, boxesToTensor, byScore, suppress } from "./_boxes.ts";

/** As `num_class`: MXNet's layout, scores as [class][prior], variances from the parameters. */
const mxnet = -233;

const detectionParams = {
  num_class: int(0),
  nms_threshold: float(1, 0.05),
  nms_top_k: int(2, 300),
  keep_top_k: int(3, 100),
  confidence_threshold: float(4, 0.5),
  variance_0: float(5, 0.1),
  variance_1: float(6, 0.1),
  variance_2: float(7, 0.2),
  variance_3: float(8, 0.2),
};
type P = ParamValues<typeof detectionParams>;

export const detectionOutput = defineOp({
  type: "DetectionOutput",
  typeIndex: 49,
  params: detectionParams,
  inputs: [3, 3],
  dynamicRows: true,
  detections: (inputs, p) => ({
    classes: counts(inputs, p).classes - 1,
    confidence: p.confidence_threshold,
  }),
  shape: (inputs, p) => {
    const { priors, classes } = counts(inputs, p);
    return [[Math.min(p.keep_top_k, priors * (classes - 1)), 6]];
  },
  reference: (inputs, p) => [boxesToTensor(detect(inputs, p))],
});

/** Throws GraphError when the three inputs do not agree. */
function counts([location, scores, prior]: readonly Shape[], p: P): { priors: number; classes: number } {
  const isMxnet = p.num_class === mxnet;
  const priors = isMxnet ? elementCount(prior) / 4 : prior[prior.length - 1] / 4;
  if (!isMxnet && prior.length !== 2) throw new GraphError(`priors of rank ${prior.length}, expected 2`);
  const classes = isMxnet ? elementCount(scores) / priors : p.num_class;
  if (elementCount(location) !== priors * 4 || elementCount(scores) !== priors * classes || classes < 2) {
    throw new GraphError(
      `${elementCount(location)} offsets and ${elementCount(scores)} scores do not fit ${priors} priors and ${classes} classes`,
    );
  }
  return { priors, classes };
}

function detect(inputs: readonly Tensor[], p: P): Box[] {
  const { priors, classes } = counts(
    inputs.map((input) => input.shape),
    p,
  );
  const score = inputs[1].data;
  const scoreOf = (prior: number, label: number): number =>
    p.num_class === mxnet ? score[label * priors + prior] : score[prior * classes + label];
  const boxes: (Box | undefined)[] = [];
  for (let i = 0; i < priors; i++) {
    boxes.push(scoreOf(i, 0) >= 1 - p.confidence_threshold ? undefined : decode(inputs, p, i));
  }
  const kept: Box[] = [];
  for (let label = 1; label < classes; label++) {
    const candidates: Box[] = [];
    boxes.forEach((box, i) => {
      const s = scoreOf(i, label);
      if (box && s > p.confidence_threshold) candidates.push({ ...box, label, score: s });
    });
    kept.push(...suppress(candidates.sort(byScore).slice(0, p.nms_top_k), p.nms_threshold));
  }
  return kept.sort(byScore).slice(0, p.keep_top_k);
}

/** Offsets are to the prior's centre and log size, in units of the variances. */
function decode([location, , prior]: readonly Tensor[], p: P, i: number): Box {
  const at = i * 4;
  const variance =
    p.num_class === mxnet
      ? [p.variance_0, p.variance_1, p.variance_2, p.variance_3]
      : prior.data.subarray(prior.shape[1] + at, prior.shape[1] + at + 4);
  const [px0, py0, px1, py1] = prior.data.subarray(at, at + 4);
  const w = px1 - px0;
  const h = py1 - py0;
  const cx = variance[0] * location.data[at] * w + (px0 + px1) / 2;
  const cy = variance[1] * location.data[at + 1] * h + (py0 + py1) / 2;
  const halfW = (Math.exp(variance[2] * location.data[at + 2]) * w) / 2;
  const halfH = (Math.exp(variance[3] * location.data[at + 3]) * h) / 2;
  return { label: 0, score: 0, x0: cx - halfW, y0: cy - halfH, x1: cx + halfW, y1: cy + halfH };
}
