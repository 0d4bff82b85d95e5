/** The list of all operators. Adding one: its file in this folder and a line here. */
import type { Op, OpTable } from "../ir/op.ts";
import { convolution } from "./convolution.ts";
import { convolutionDepthWise } from "./convolution-depthwise.ts";
import { input } from "./input.ts";
import { relu } from "./relu.ts";

export const allOps: readonly Op[] = [convolution, convolutionDepthWise, input, relu];

export const ops: OpTable = new Map(allOps.map((op) => [op.type, op]));
