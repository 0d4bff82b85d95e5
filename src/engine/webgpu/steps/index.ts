/** The kinds of steps, one a file. */
import type { Step } from "../../steps.ts";
import { attention } from "./attention.ts";
import { convolution } from "./convolution.ts";
import { copy } from "./copy.ts";
import { depthwise } from "./depthwise.ts";
import { elementwise } from "./elementwise.ts";
import { gather } from "./gather.ts";
import { importStep } from "./import.ts";
import { join } from "./join.ts";
import type { StepKind } from "./kind.ts";
import { layerNorm } from "./layer-norm.ts";
import { lrn } from "./lrn.ts";
import { pooling } from "./pooling.ts";
import { reference } from "./reference.ts";
import { resize } from "./resize.ts";
import { softmax } from "./softmax.ts";

const kinds: { readonly [K in Step["kind"]]: StepKind<Extract<Step, { kind: K }>> } = {
  convolution,
  depthwise,
  pooling,
  elementwise,
  resize,
  gather,
  import: importStep,
  copy,
  join,
  softmax,
  layerNorm,
  lrn,
  attention,
  reference,
};

export function kindOf({ kind }: Pick<Step, "kind">): StepKind {
  return kinds[kind];
}
