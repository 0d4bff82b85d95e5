import { interpTaps, resizeTypes } from "../../ops/interp.ts";
import type { ResizeStep } from "../steps.ts";
import type { Layer } from "./layer.ts";

/** Interp of a picture: nearest by whole factors, or bilinear. A picture that keeps its size is itself. */
export function interp({ views, node, p, inputShapes: [shape], outputShapes: [result] }: Layer): boolean {
  if (shape.length !== 3) return false;
  const [from] = node.inputs;
  const [to] = node.outputs;
  const [, height, width] = shape;
  const [channels, outH, outW] = result;
  if (height === outH && width === outW) {
    views.setAlias(to, from);
    return true;
  }
  const view = views.picture(from);
  const [y, x] = interpTaps(p as never, [height, width], [outH, outW]);
  if (p.resize_type === resizeTypes.nearest) {
    const [scaleY, scaleX] = [outH / height, outW / width];
    const isWhole =
      Number.isInteger(scaleY) &&
      Number.isInteger(scaleX) &&
      y.index.every((at, o) => at === Math.floor(o / scaleY)) &&
      x.index.every((at, o) => at === Math.floor(o / scaleX));
    if (!isWhole) return false;
    const output = views.gather(view, to, { scaleY, scaleX, nodes: [node.name] });
    views.setPicture(to, output, view.int8Scale);
    return true;
  }
  if (p.resize_type !== resizeTypes.bilinear || view.int8Scale !== undefined) return false;
  const input = views.whole(from);
  const output = views.value(to, channels, outH, outW);
  output.order.tie(input.order);
  const taps = (t: typeof y, count: number): ResizeStep["rowTaps"] =>
    Array.from(
      { length: count },
      (_, o) => [t.index[o * 2], t.index[o * 2 + 1], t.weight[o * 2 + 1]] as const,
    );
  const [rowTaps, columnTaps] = [taps(y, outH), taps(x, outW)];
  views.add({ kind: "resize", nodes: [node.name], input, rowTaps, columnTaps, fused: [], output });
  views.setPicture(to, output);
  return true;
}
