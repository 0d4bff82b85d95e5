/** Outputs of real networks on the reference kernels against native ncnn: floats closely, int8 bit for bit. */
import path from "node:path";
import { afterEach, expect, it, vi } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { readNcnn } from "../../src/formats/ncnn/index.ts";
import { convolve } from "../../src/ops/_convolve.ts";
import { convolutionDepthWise } from "../../src/ops/convolution-depthwise.ts";
import { dataBytes, dataFiles, dataText, describeData, goldenPicture, readNpy } from "../data.ts";
import { amdReciprocal } from "./_amd-reciprocal.ts";

const picture = "in320-139";

/** Largest error over all outputs that native ncnn's results are there for. */
function largestError(model: string, folder: string): number {
  const graph = readNcnn(dataText(`${folder}/${model}.param`), dataBytes(`${folder}/${model}.bin`));
  const prefix = `${model}.${picture}.`;
  const blobs = dataFiles("golden", ".npy")
    .map((file) => path.basename(file, ".npy"))
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
  expect(blobs.length).toBeGreaterThan(0);
  const results = runReference(graph, { [graph.inputs[0]]: goldenPicture(picture) }, blobs);
  let worst = 0;
  for (const blob of blobs) {
    const expected = readNpy(`golden/${prefix}${blob}.npy`);
    expect(results[blob].shape).toEqual(expected.shape);
    expected.data.forEach((x, i) => {
      worst = Math.max(worst, Math.abs(x - results[blob].data[i])); // NaN stays
    });
  }
  return worst;
}

/** Depthwise int8 as native x86 on AMD has it, which approximates reciprocals where channels come in eights. */
function useNativeReciprocals(): void {
  const exact = convolutionDepthWise.reference;
  vi.spyOn(convolutionDepthWise, "reference").mockImplementation((inputs, p, weights, shapes) => {
    const { group, num_output: outputs } = p as { group: number; num_output: number };
    const isApproximate = group % 8 === 0 && group === outputs && group === inputs[0].shape[0];
    if (!isApproximate) return exact(inputs, p, weights, shapes);
    return [
      convolve(inputs[0], p as Parameters<typeof convolve>[1], weights, group, (k) => k, true, amdReciprocal),
    ];
  });
}

describeData("real networks on the reference kernels", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });
  it.each(["yolov5ss", "v5lite-e", "v5lite-s", "nanodet_m", "squeezenet_v1.1"])(
    "%s is within 1e-3 of native",
    (model) => {
      expect(largestError(model, "models")).toBeLessThan(1e-3);
    },
    60_000,
  );
  it.each([
    ["yolov5ss-int8", "models"],
    ["off-kl-320", "golden"],
  ])(
    "%s equals native",
    (model, folder) => {
      useNativeReciprocals();
      expect(largestError(model, folder)).toBe(0);
    },
    60_000,
  );
});
