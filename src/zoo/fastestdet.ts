/** FastestDet: anchor-free, one scale. dog-qiuqiu, 2022. */
import type { Graph } from "../ir/graph.ts";
import { type Blob, Builder } from "./builder.ts";
import { smallShufflenetV2 } from "./yolo-fastest.ts";

const relu = { activation: "relu" } as const;
const width = 96;

/** Three chains of 5×5 depthwise convolutions, of length one to three, joined beside a shortcut. */
function spatialPyramid(b: Builder, x: Blob): Blob {
  const chains = [1, 2, 3].map((length) => {
    let y = x;
    for (let i = 0; i < length; i++) y = b.depthwise(y, 5, relu);
    return y;
  });
  return b.relu(b.add(x, b.conv(b.concat(chains), width)));
}

export function fastestDet(size: number): Graph {
  const b = new Builder();
  const [at8, at16, at32] = smallShufflenetV2(b, b.input(size));
  const pooled = b.averagePool(at8, 3, { stride: 2, pad: 1 }, { avgpool_count_include_pad: 1 });
  const joined = b.conv(b.concat([pooled, at16, b.upsample(at32)]), width, relu);
  const features = b.conv(spatialPyramid(b, joined), width, relu);
  const head = (outputs: number, activation?: "sigmoid"): Blob =>
    b.conv(b.depthwise(features, 5, relu), outputs, { activation });
  const scores = b.softmax(head(80));
  const boxes = head(4);
  b.concat([head(1, "sigmoid"), boxes, scores]);
  return b.graph;
}
