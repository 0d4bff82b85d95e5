import { depthwisePixels } from "../../../kernels/webgpu/index.ts";
import { floatOf, slotsOf } from "../../representations.ts";
import type { DepthwiseStep } from "../../steps.ts";
import { endingOf } from "../epilogue.ts";
import { type StepKind, sizeOf, trafficThrough } from "./kind.ts";

export const depthwise: StepKind<DepthwiseStep> = {
  kind: "depthwise",
  quantizes: true,
  needs: ({ input, int8 }, read) => {
    if (int8) read.int8(input, int8.inputScale);
    else read.float(input);
  },
  plan: (step) => {
    const { kind, nodes, input, output, int8, x, y, bias, fused, weight } = step;
    const source = int8 ? input.find("i8", int8.inputScale, 0) : floatOf(input);
    const ending = endingOf(output, fused, int8 ? "i32" : "f32", { bias, int8 });
    const window = `${x.kernel}x${y.kernel}${y.stride > 1 ? `s${y.stride}` : ""}`;
    return {
      kind,
      nodes,
      label: `depthwise ${source.dtype} ${window} ${sizeOf(output)}`,
      macs: weight.length * y.output * x.output,
      traffic: trafficThrough([source], output),
      call: {
        spec: {
          kind,
          sum: int8 ? "i32" : "f32",
          y,
          x,
          fill: input.fill(source.dtype),
          pixels: depthwisePixels({ y, x }),
          epilogue: ending.epilogue,
        },
        args: [source.address, ...ending.args],
        weights: packWeights(step),
        constants: ending.constants,
      },
    };
  },
};

/** `[tap][slot]` */
function packWeights({ weight, output, x, y }: DepthwiseStep): Float32Array {
  const slots = slotsOf(output);
  const taps = y.kernel * x.kernel;
  const out = new Float32Array(taps * slots.length);
  slots.forEach((channel, slot) => {
    if (channel < 0) return;
    for (let tap = 0; tap < taps; tap++) out[tap * slots.length + slot] = weight[channel * taps + tap];
  });
  return out;
}
