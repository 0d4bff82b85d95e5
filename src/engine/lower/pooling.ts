import { hasDoublePads, padModes, poolingTypes } from "../../ops/pooling.ts";
import { padSameLower, padSameUpper, type WindowParams, windowAxes } from "../../ops/windows.ts";
import { fullAxis, hasEmptyWindow, type WindowAxes, withTakenSteps } from "../windows.ts";
import type { Layer } from "./layer.ts";

/** Pooling over windows, or over all of the picture. */
export function pooling(layer: Layer): boolean {
  const { views, node, p } = layer;
  if (p.adaptive_pooling && !p.global_pooling) return false;
  const [from] = node.inputs;
  const [to] = node.outputs;
  const view = views.picture(from);
  const operator = p.pooling_type === poolingTypes.max ? "max" : "average";
  if (view.int8Scale !== undefined && operator === "average") return false;
  const isGlobal = p.global_pooling !== 0;
  const axes = isGlobal ? { y: fullAxis(view.height), x: fullAxis(view.width) } : windows(layer);
  const countsPadding = !isGlobal && (p.avgpool_count_include_pad !== 0 || samePad(layer) !== undefined);
  const divisor = countsPadding ? "kernel" : "inside";
  const averagesNothing = operator === "average" && divisor === "inside" && hasEmptyWindow(axes);
  if (averagesNothing || hasDoublePads(p as never)) return false;
  const input = views.whole(from);
  const output = views.value(to, input.channels, axes.y.output, axes.x.output);
  output.order.tie(input.order);
  views.add({ kind: "pooling", nodes: [node.name], input, operator, ...axes, divisor, fused: [], output });
  views.setPicture(to, output, view.int8Scale);
  return true;
}

function samePad({ p }: Layer): number | undefined {
  return { [padModes.sameUpper]: padSameUpper, [padModes.sameLower]: padSameLower }[p.pad_mode];
}

function windows(layer: Layer): WindowAxes {
  const { p, inputShapes, outputShapes } = layer;
  const same = samePad(layer);
  const pads = same === undefined ? {} : { pad_left: same, pad_right: same, pad_top: same, pad_bottom: same };
  const axes = windowAxes(inputShapes[0], {
    ...(p as unknown as WindowParams),
    ...pads,
    dilation_w: 1,
    dilation_h: 1,
  });
  const [, height, width] = outputShapes[0];
  return withTakenSteps({ y: { ...axes.y, output: height }, x: { ...axes.x, output: width } });
}
