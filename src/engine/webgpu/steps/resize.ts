import { f32ToBits } from "../../../base/fp16.ts";
import { floatOf } from "../../representations.ts";
import type { ResizeStep } from "../../steps.ts";
import { endingOf } from "../epilogue.ts";
import { type StepKind, sizeOf, trafficThrough } from "./kind.ts";

export const resize: StepKind<ResizeStep> = {
  kind: "resize",
  quantizes: true,
  needs: ({ input }, read) => read.float(input),
  plan: ({ kind, nodes, input, rowTaps, columnTaps, fused, output }) => {
    const source = floatOf(input);
    const ending = endingOf(output, fused, "none");
    const taps = [...rowTaps, ...columnTaps];
    return {
      kind,
      nodes,
      label: `resize bilinear ${sizeOf(output)}`,
      macs: 0,
      traffic: trafficThrough([source], output),
      call: {
        spec: {
          kind,
          rows: output.height,
          width: output.width,
          inputWidth: input.width,
          epilogue: ending.epilogue,
        },
        args: [source.address, ...ending.args],
        constants: ending.constants,
        table: Uint32Array.from(
          taps.flatMap(([first, second, weight]) => [first, second, f32ToBits(weight), 0]),
        ),
      },
    };
  },
};
