/** Kinds of heads whose classes are a softmax in planes `[classes, gridHeight, gridWidth]` of logits, and whose objectness is a sigmoid. */
import { sigmoid } from "../base/maths.ts";
import type { Tensor } from "../ir/tensor.ts";
import { areaOf } from "./_planes.ts";
import { leastScore } from "./kind.ts";
import { type HeadSource, type HeadView, isNear, numberAt, type Piece, sampleCells } from "./view.ts";

/** Class probabilities of a cell, in an array that the next call fills anew. */
export function softmaxOf(scores: Tensor, classes: number): (cell: number) => Float64Array {
  const { data } = scores;
  const area = areaOf(scores);
  const result = new Float64Array(classes);
  return (cell) => {
    let most = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < classes; k++) most = Math.max(most, data[k * area + cell]);
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += result[k] = Math.exp(data[k * area + cell] - most);
    for (let k = 0; k < classes; k++) result[k] /= sum;
    return result;
  };
}

/**
 * Scores by cell and class from objectness (of the channel `anchor`) and classes; 0 where the score cannot be above `least`.
 * `combine` never exceeds `combine(objectness, 1)`.
 */
export function softmaxScores(
  objectness: Tensor,
  scores: Tensor,
  classes: number,
  anchor: number,
  combine: (objectness: number, probability: number) => number,
  least = -1,
): (cell: number, k: number) => number {
  const area = areaOf(scores);
  const probabilities = softmaxOf(scores, classes);
  let known = -1;
  let object = 0;
  let values: Float64Array = new Float64Array(0);
  return (cell, k) => {
    if (cell !== known) {
      known = cell;
      object = sigmoid(objectness.data[anchor * area + cell]);
      values = combine(object, 1) > least ? probabilities(cell) : new Float64Array(0);
    }
    return values.length ? combine(object, values[k]) : 0;
  };
}

/** Weights of the logits of objectness and classes: the scores that they make, where they are no background. */
export function softmaxImportance(
  objectness: Tensor,
  scores: Tensor,
  classes: number,
  anchors: number,
  combine: (objectness: number, probability: number) => number,
): [Float32Array, Float32Array] {
  const area = areaOf(scores);
  const weights: [Float32Array, Float32Array] = [
    new Float32Array(objectness.data.length),
    new Float32Array(scores.data.length),
  ];
  for (let anchor = 0; anchor < anchors; anchor++) {
    const scoreOf = softmaxScores(objectness, scores, classes, anchor, combine, leastScore);
    for (let cell = 0; cell < area; cell++) {
      for (let k = 0; k < classes; k++) {
        const score = scoreOf(cell, k);
        if (!(score >= leastScore)) continue;
        const [object, value] = [anchor * area + cell, k * area + cell];
        weights[0][object] = Math.max(weights[0][object], score);
        weights[1][value] = Math.max(weights[1][value], score);
      }
    }
  }
  return weights;
}

/** The source whose softmax the columns from `at` to the end of a piece are. */
export function softmaxSource(view: HeadView, piece: Piece, at: number): HeadSource | undefined {
  const classes = piece.columns.length - at;
  if (classes < 1 || piece.columns.slice(at).some(({ origin }) => origin !== "other")) return undefined;
  const probe = view.probe();
  return view.sources.find((source) => {
    if (source.stride !== piece.stride || source.channels !== classes || source.activation !== "none") {
      return false;
    }
    return sampleCells(piece).every((cell) => {
      const powers = Array.from({ length: classes }, (_, k) => Math.exp(probe.source(source, k, cell)));
      const sum = powers.reduce((a, b) => a + b, 0);
      return powers.every((power, k) => isNear(numberAt(probe, piece, cell, at + k), power / sum, 1e-5));
    });
  });
}
