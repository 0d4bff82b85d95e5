import { emitResize, type ResizeSpec, resizeEntryBytes } from "../../../kernels/wasm/index.ts";
import { floatOf, origin, writeBytes } from "../../representations.ts";
import type { ResizeStep } from "../../steps.ts";
import { epilogueOf, packEpilogue } from "../epilogue.ts";
import { callOverRows, type StepKind, sizeOf } from "./kind.ts";

export const resize: StepKind<ResizeStep, ResizeSpec> = {
  kind: "resize",
  quantizes: true,
  needs: ({ input }, read) => read.float(input),
  plan: ({ kind, nodes, input, rowTaps, columnTaps, fused, output }, { data }) => {
    const source = floatOf(input);
    const epilogue = epilogueOf(fused, output.representations, "none");
    const spec: ResizeSpec = {
      kind,
      rows: output.height,
      width: output.width,
      vectors: output.slotCount / 4,
      epilogue,
    };
    const args = [
      origin(source),
      data.add(packTaps(rowTaps, source.rowBytes)),
      data.add(packTaps(columnTaps, source.pixelBytes)),
      packEpilogue(data, epilogue, output, { fused }),
      ...output.representations.map(origin),
    ];
    return {
      kind,
      nodes,
      label: `resize bilinear ${sizeOf(output)}`,
      macs: 0,
      bytes: source.byteLength + writeBytes(output),
      calls: [callOverRows(spec, args, output)],
    };
  },
  emit: emitResize,
};

/** Table of one axis: byte offsets of the two sources and the weight of the second. */
function packTaps(taps: ResizeStep["rowTaps"], bytes: number): DataView {
  const table = new DataView(new ArrayBuffer(taps.length * resizeEntryBytes));
  taps.forEach(([first, second, weight], i) => {
    table.setInt32(i * resizeEntryBytes, first * bytes, true);
    table.setInt32(i * resizeEntryBytes + 4, second * bytes, true);
    table.setFloat32(i * resizeEntryBytes + 8, weight, true);
  });
  return table;
}
