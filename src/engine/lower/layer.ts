/** What a lowering rule is told, and what it answers. */
import type { Node } from "../../ir/graph.ts";
import type { Op } from "../../ir/op.ts";
import type { Shape } from "../../ir/tensor.ts";
import type { Views } from "./views.ts";

/** Any shape and parameter values of a node, as its description resolves them. */
export type P = Record<string, number> & Record<"activation_params" | "slices" | "axes", readonly number[]>;

/** A layer to lower. */
export interface Layer {
  readonly views: Views;
  readonly node: Node;
  readonly op: Op;
  readonly p: P;
  readonly inputShapes: readonly Shape[];
  readonly outputShapes: readonly Shape[];
}

/** Tries to lower a layer: adds steps and gives its outputs views. False: this rule does not apply. */
export type Rule = (layer: Layer) => boolean;
