/**
 * Resize as ncnn's Interp. Of the forms that Interp has (by factor or to a size, corners aligned or not) the first is taken
 * whose samples are those that ONNX asks for; where none has them, the node is refused.
 */
import type { Params } from "../../../ir/op.ts";
import { resolveParams } from "../../../ir/op.ts";
import { interp, interpTaps, resizeTypes, type Taps } from "../../../ops/interp.ts";
import { floatAttribute, intAttribute, type OnnxNode, stringAttribute } from "../model.ts";
import {
  addUp,
  axisSamples,
  differenceOf,
  isOldResize,
  type ResizeMode,
  resizedShape,
  type Samples,
} from "../resize.ts";
import type { Lower, Lowering } from "./context.ts";

const types: Record<string, number> = {
  nearest: resizeTypes.nearest,
  linear: resizeTypes.bilinear,
  cubic: resizeTypes.bicubic,
};

/** Every sample of an axis is compared. */
const maxSide = 65536;

/** Positions are float32 on both sides: at 1000 they are 6e-5 apart. */
const tolerance = 1e-3;

function modeOf(node: OnnxNode, opset: number): ResizeMode {
  const isOld = isOldResize(node, opset);
  return {
    mode: stringAttribute(node, "mode", "nearest"),
    coordinates: isOld ? "asymmetric" : stringAttribute(node, "coordinate_transformation_mode", "half_pixel"),
    nearest: isOld ? "old" : stringAttribute(node, "nearest_mode", "round_prefer_floor"),
    cubicA: floatAttribute(node, "cubic_coeff_a", -0.75),
  };
}

export const resize: Lower = (l, node) => {
  const isOld = isOldResize(node, l.opset);
  const { blob, shape } = l.picture(node.inputs[0]);
  const from = l.shapeOf(node.inputs[0]);
  const sizes = isOld ? undefined : l.optionalNumbers(node.inputs[3]);
  const isToSize = Boolean(sizes?.length);
  const given = isToSize ? undefined : l.numbers(node.inputs[isOld ? 1 : 2], "scales");
  const { shape: to, factors } = resizedShape(node, from, isToSize ? sizes : undefined, given);
  const [n, c, outH, outW] = to as number[];
  if (!(outH <= maxSide && outW <= maxSide)) {
    l.unsupported(`resizing to ${outH}x${outW}`, `sides up to ${maxSide}`);
  }
  if (n !== 1 || c !== shape[0]) l.unsupported("resizing of channels", "resizing of height and width");
  if (intAttribute(node, "antialias", 0)) l.unsupported("antialiased resizing", "antialias=0");
  if (intAttribute(node, "exclude_outside", 0)) l.unsupported("exclude_outside=1", "exclude_outside=0");
  const mode = modeOf(node, l.opset);
  const type = types[mode.mode] ?? l.unsupported(`resizing by ${mode.mode}`, "nearest, linear or cubic");
  const input = shape.slice(1);
  const output = [outH, outW];
  const scales = [2, 3].map((axis) => factors[axis] as number);
  const wanted = output.map(
    (extent, i) =>
      axisSamples(mode, input[i], extent, scales[i]) ??
      l.unsupported(`resizing with ${describeMode(mode)}`, "half_pixel, pytorch_half_pixel, align_corners"),
  );
  const forms = interpForms(type, mode, output, scales, !isToSize);
  const found = forms.map((form) => ({ form, miss: missOf(form, shape, output, wanted) }));
  const match = found.find(({ miss }) => miss === undefined);
  if (!match) refuse(l, mode, { input, output, scales }, found[0].miss);
  l.result("Interp", [blob], match.form);
  const missed = scales.findIndex((s, i) => Math.abs(output[i] / input[i] / s - 1) > 1e-6);
  const isAligned = Boolean(match.form.align_corner);
  if (missed >= 0 && match.form.output_height === undefined && type !== resizeTypes.nearest && !isAligned) {
    const [s, from, to] = [scales, input, output].map((list) => list[missed]);
    l.warn(
      `samples at 1/${shortNumber(s)}, as native ncnn does from release 20261020 on; older ones sample at ${from}/${to}`,
    );
  }
};

/** Ways to spell the target, best first: factors work at any size of the input, factors that come from sizes where they are clean. */
function interpForms(
  resize_type: number,
  { mode, coordinates }: ResizeMode,
  [outH, outW]: readonly number[],
  [sh, sw]: readonly number[],
  isByFactor: boolean,
): Params[] {
  const isClean = [sh, sw].every((s) => Number.isInteger(s * 16) || Number.isInteger(16 / s));
  const factor: Params = {
    ...(sh !== 1 ? { height_scale: sh } : {}),
    ...(sw !== 1 ? { width_scale: sw } : {}),
  };
  const targets = [factor, { output_height: outH, output_width: outW }];
  if (!isByFactor && !isClean) targets.reverse();
  const corners: Params[] = [{}, { align_corner: 1 }];
  if (coordinates === "align_corners") corners.reverse();
  return (mode === "nearest" ? [{}] : corners).flatMap((corner) =>
    targets.map((target) => ({ resize_type, ...target, ...corner })),
  );
}

/** Where Interp and ONNX sample differently. */
interface Miss {
  readonly axis: string;
  readonly at: number;
  readonly wanted: Samples;
  readonly found: Samples;
}

function missOf(
  form: Params,
  shape: readonly number[],
  output: readonly number[],
  wanted: readonly Samples[][],
): Miss | "size" | undefined {
  const p = resolveParams(interp, form) as Parameters<typeof interpTaps>[0];
  const [[, h, w]] = interp.shape([shape], p, 1);
  if (h !== output[0] || w !== output[1]) return "size";
  const taps = interpTaps(p, shape.slice(1), output);
  for (const [i, axis] of ["row", "column"].entries()) {
    for (const [at, samples] of wanted[i].entries()) {
      const found = samplesOf(taps[i], at);
      if (differenceOf(found, samples) > tolerance) return { axis, at, wanted: samples, found };
    }
  }
  return undefined;
}

function samplesOf({ count, index, weight }: Taps, at: number): Samples {
  const range = [at * count, (at + 1) * count];
  return addUp(index.subarray(...range), weight.subarray(...range));
}

function describeMode({ mode, coordinates, nearest }: ResizeMode): string {
  return mode === "nearest" && nearest !== "old" ? `${coordinates} and ${nearest}` : coordinates;
}

function refuse(
  l: Lowering,
  mode: ResizeMode,
  { input, output, scales }: Record<"input" | "output" | "scales", readonly number[]>,
  miss: Miss | "size" | undefined,
): never {
  const what = `${mode.mode} resizing of ${input.join("x")} to ${output.join("x")} (factors ${scales.map(shortNumber).join(" and ")}) with ${describeMode(mode)}`;
  const near =
    typeof miss === "object"
      ? ` (ncnn's Interp reads ${describeSamples(miss.found)} for ${miss.axis} ${miss.at}, the node asks for ${describeSamples(miss.wanted)})`
      : "";
  l.unsupported(
    what + near,
    mode.mode === "nearest"
      ? "asymmetric with floor, or half_pixel by a whole factor upwards"
      : "half_pixel, pytorch_half_pixel or align_corners, which opset 11 and newer have",
  );
}

const shortNumber = (value: number): number => Number(value.toPrecision(6));

function describeSamples(samples: Samples): string {
  const position = [...samples].reduce((sum, [index, weight]) => sum + index * weight, 0);
  return String(Number(position.toFixed(3)));
}
