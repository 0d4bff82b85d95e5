/** ShuffleChannel: sees c as (G, c/G) and transposes: output channel j·G+i is input channel i·(c/G)+j. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int, type ParamValues } from "../ir/op.ts";
import type { Shape } from "../ir/tensor.ts";
import { gather, requireRank } from "./shapes.ts";

const shuffleParams = { group: int(0, 1), reverse: int(1) };

/** G. Throws GraphError when the channels cannot be split so. */
function groupsOf(shape: Shape, { group, reverse }: ParamValues<typeof shuffleParams>): number {
  if (group < 1 || shape[0] % group)
    throw new GraphError(`${shape[0]} channels cannot be split into ${group} groups`);
  return reverse ? shape[0] / group : group;
}

export const shuffleChannel = defineOp({
  type: "ShuffleChannel",
  typeIndex: 52,
  int8Inputs: true,
  moves: true,
  params: shuffleParams,
  shape: ([input], p) => {
    requireRank(input, [3]);
    groupsOf(input, p);
    return [input];
  },
  reference: ([{ shape, data }], p) => {
    const [channels, h, w] = shape;
    const groups = groupsOf(shape, p);
    const each = channels / groups;
    return [{ shape, data: gather(data, [each, groups, h * w], [h * w, each * h * w, 1]).data }];
  },
});
