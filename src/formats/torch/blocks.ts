/**
 * Pieces that blocks are made of, and the blocks that YOLOv5 and those after it have alike.
 * Sources for attribute names and what `forward` computes: ultralytics/yolov5 v5.0 and v7.0 models/common.py.
 */

import { binaryOpTypes } from "../../ops/binary-op.ts";
import { share } from "../../ops/slice.ts";
import type { Emitter, NetworkBuilder } from "./builder.ts";
import type { TorchModule } from "./module.ts";

export const concat = (b: NetworkBuilder, m: TorchModule, inputs: readonly string[], part = "cat"): string =>
  b.layer(m, "Concat", m.at(part), inputs);

export const binary = (
  b: NetworkBuilder,
  m: TorchModule,
  op: (typeof binaryOpTypes)[number],
  part: string,
  inputs: readonly string[],
): string => b.layer(m, "BinaryOp", m.at(part), inputs, { op_type: binaryOpTypes.indexOf(op) });

export const add = (b: NetworkBuilder, m: TorchModule, x: string, y: string): string =>
  binary(b, m, "add", "add", [x, y]);

/** With a number as the second operand. */
export const binaryNumber = (
  b: NetworkBuilder,
  m: TorchModule,
  op: (typeof binaryOpTypes)[number],
  part: string,
  input: string,
  number: number,
): string =>
  b.layer(m, "BinaryOp", m.at(part), [input], {
    op_type: binaryOpTypes.indexOf(op),
    with_scalar: 1,
    b: number,
  });

export const shuffle = (b: NetworkBuilder, m: TorchModule, x: string): string =>
  b.layer(m, "ShuffleChannel", m.at("shuffle"), [x], { group: 2 });

export const halves = (b: NetworkBuilder, m: TorchModule, x: string): string[] =>
  b.layers(m, "Slice", m.at("chunk"), [x], 2, { slices: [share, share] });

/** A class that applies its parts one after the other. `?` marks parts that fused or plain checkpoints lack. */
export const chained =
  (...parts: string[]): Emitter =>
  (b, m, [x]) => {
    m.expectChildren(parts);
    return b.chain(m, parts, x);
  };

const conv = chained("conv", "bn?", "act?");

const bottleneck: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2"]);
  const y = b.chain(m, ["cv1", "cv2"], x);
  return m.flag("add") ? add(b, m, x, y) : y;
};

const bottleneckCsp: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "cv4", "bn", "act", "m"]);
  const y1 = b.chain(m, ["cv1", "m", "cv3"], x);
  const y2 = b.chain(m, ["cv2"], x);
  return b.chain(m, ["bn", "act", "cv4"], concat(b, m, [y1, y2]));
};

const c3: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "cv3", "m"]);
  const y1 = b.chain(m, ["cv1", "m"], x);
  const y2 = b.chain(m, ["cv2"], x);
  return b.chain(m, ["cv3"], concat(b, m, [y1, y2]));
};

const spp: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "m"]);
  const y = b.chain(m, ["cv1"], x);
  const pooled = m
    .child("m")
    .children()
    .map(([, pool]) => b.emit(pool, y));
  return b.chain(m, ["cv2"], concat(b, m, [y, ...pooled]));
};

/** Pools one after the other, of which the end sees all. Of YOLO26 on, their number and an addition are attributes. */
const sppf: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "m"]);
  const parts = [b.chain(m, ["cv1"], x)];
  const pools = m.has("n") ? m.integer("n", 1) : 3;
  if (pools > mostPools) m.unsupported(`${pools} pools, expected at most ${mostPools}`);
  for (let i = 0; i < pools; i++) parts.push(b.chain(m, ["m"], parts[i]));
  const y = b.chain(m, ["cv2"], concat(b, m, parts));
  return m.flag("add") ? add(b, m, y, x) : y;
};

const mostPools = 16;

const concatenation: Emitter = (b, m, inputs) => {
  if (m.integer("d") !== 1)
    m.unsupported(`concatenation along axis ${m.integer("d")}, expected 1 (channels)`);
  return b.layer(m, "Concat", m.path, inputs);
};

/** Reorg of ncnn in mode 1 puts pixel (dy, dx) of input channel q into channel (2·dy + dx)·c + q. */
export const reorg = (b: NetworkBuilder, m: TorchModule, x: string, stride: number): string =>
  b.layer(m, "Reorg", m.at("reorg"), [x], { stride, mode: 1 });

/**
 * Space to depth. YOLOv5 stacks the pixels in the order (0,0) (1,0) (0,1) (1,1) of (dy, dx), Reorg in the order (0,0) (0,1)
 * (1,0) (1,1).
 */
export const spaceToDepth: Emitter = (b, m, [x]) => b.swapQuarters(m, reorg(b, m, x, 2));

const focus: Emitter = (b, m, [x]) => {
  m.expectChildren(["conv"]);
  return b.chain(m, ["conv"], spaceToDepth(b, m, [x]));
};

/** The sum of what the parts that are there make of `x`. */
export const sumOf = (b: NetworkBuilder, m: TorchModule, parts: readonly string[], x: string): string =>
  parts
    .flatMap((part) => m.optionalChild(part) ?? [])
    .map((part) => b.emit(part, x))
    .reduce((sum, y) => add(b, m, sum, y));

const ghostConv: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2"]);
  const y = b.chain(m, ["cv1"], x);
  return concat(b, m, [y, b.chain(m, ["cv2"], y)]);
};

const ghostBottleneck: Emitter = (b, m, [x]) => {
  m.expectChildren(["conv", "shortcut"]);
  return add(b, m, b.chain(m, ["conv"], x), b.chain(m, ["shortcut"], x));
};

/** Classes of these names compute the same in every framework that has them. */
export const commonBlocks: Readonly<Record<string, Emitter>> = {
  Bottleneck: bottleneck,
  BottleneckCSP: bottleneckCsp,
  C3: c3,
  C3Ghost: c3,
  Concat: concatenation,
  Conv: conv,
  DWConv: conv,
  Focus: focus,
  GhostBottleneck: ghostBottleneck,
  GhostConv: ghostConv,
  SPP: spp,
  SPPF: sppf,
};
