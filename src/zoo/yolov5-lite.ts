/**
 * YOLOv5-Lite: YOLOv5's neck and head on ShuffleNetV2. `yolov5ss` (the first release), `v5lite-e` and `v5lite-s`. ppogg, 2021.
 */
import type { Graph } from "../ir/graph.ts";
import { type Blob, Builder } from "./builder.ts";
import { cropTwice, shufflenetV2Stages } from "./shufflenet.ts";

const relu = { activation: "relu" } as const;
const classes = 80;
const anchors = 3;

interface Variant {
  readonly stem: number;
  /** Units of the backbone's last stage. */
  readonly lastUnits: number;
  /** Channels of the neck. Where all are equal the small heads are joined by sums (`e`), else by concatenation. */
  readonly neck: { readonly at8: number; readonly at16: number; readonly at32: number };
  /** Channels of what goes up from 1/32 and from 1/16. */
  readonly lateral: { readonly at32: number; readonly at16: number };
  readonly activation: "relu" | "swish";
  readonly joins: "concat" | "add";
}

const variants = {
  yolov5ss: {
    stem: 24,
    lastUnits: 4,
    neck: { at8: 128, at16: 128, at32: 128 },
    lateral: { at32: 128, at16: 128 },
    activation: "relu",
    joins: "concat",
  },
  "v5lite-e": {
    stem: 32,
    lastUnits: 2,
    neck: { at8: 96, at16: 96, at32: 96 },
    lateral: { at32: 96, at16: 96 },
    activation: "swish",
    joins: "add",
  },
  "v5lite-s": {
    stem: 32,
    lastUnits: 4,
    neck: { at8: 64, at16: 128, at32: 256 },
    lateral: { at32: 128, at16: 64 },
    activation: "swish",
    joins: "concat",
  },
} as const satisfies Record<string, Variant>;

export function yolov5Lite(name: keyof typeof variants, size: number): Graph {
  const { stem, lastUnits, neck, lateral, activation, joins }: Variant = variants[name];
  const b = new Builder();
  const conv = (x: Blob, outputs: number, kernel = 1, stride = 1): Blob =>
    activation === "relu"
      ? b.conv(x, outputs, { ...relu, kernel, stride })
      : b.swish(b.conv(x, outputs, { kernel, stride }));
  /** Cross-stage partial bottleneck: half of the channels through a 1×1 and a 3×3 convolution. */
  const c3 = (x: Blob, outputs: number): Blob => {
    const half = outputs / 2;
    const inside = conv(conv(conv(x, half), half), half, 3);
    return conv(b.concat([inside, conv(x, half)]), outputs);
  };
  /** Half the size, joined with what passed there on the way up. */
  const down = (x: Blob, other: Blob): Blob =>
    joins === "concat"
      ? b.concat([conv(x, x.shape[0], 3, 2), other])
      : b.add(b.conv(b.depthwise(x, 3, { ...relu, stride: 2 }), x.shape[0], relu), other);

  const first = b.conv(b.input(size), stem, { ...relu, kernel: 3, stride: 2 });
  const pooled = b.maxPool(first, 3, { stride: 2, pad: 1 });
  const spelling = { ...relu, split: cropTwice, shuffle: "after" } as const;
  const [at8, at16, at32] = shufflenetV2Stages(b, pooled, [120, 232, 464], [4, 8, lastUnits], spelling);
  const up32 = conv(at32, lateral.at32);
  const up16 = conv(c3(b.concat([b.upsample(up32), at16]), neck.at16), lateral.at16);
  const out8 = c3(b.concat([b.upsample(up16), at8]), neck.at8);
  const out16 = c3(down(out8, up16), neck.at16);
  const out32 = c3(down(out16, up32), neck.at32);
  for (const x of [out8, out16, out32]) {
    const head = b.conv(x, anchors * (5 + classes));
    b.permute(b.layer("Reshape", head, { w: -1, h: 5 + classes, c: anchors }), 1);
  }
  return b.graph;
}
