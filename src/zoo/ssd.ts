/** SSD on SqueezeNet and on MobileNet v1, for 300×300 pictures. Liu et al., "SSD: Single shot multibox detector", 2015. */

import type { Graph } from "../ir/graph.ts";
import type { Params } from "../ir/op.ts";
import { derived } from "../ops/prior-box.ts";
import { type Blob, Builder } from "./builder.ts";
import { mobilenetFeatures } from "./mobilenet.ts";
import { fire, squeezenetFeatures } from "./squeezenet.ts";

/** Pascal VOC's 20 and the background. */
const classes = 21;
/** Permute's order for channels last. */
const channelsLast = 3;

/** A feature map with its default boxes; sizes in pixels. */
interface Source {
  readonly features: Blob;
  readonly minSize: number;
  readonly maxSize?: number;
  readonly ratios: readonly number[];
  /** Pixels between boxes; as many as fit when absent. */
  readonly step?: number;
}

/** Boxes and class scores of every source, joined and filtered. */
function detect(b: Builder, data: Blob, sources: readonly Source[], kernel: number): void {
  const flattened = (x: Blob): Blob => b.layer("Flatten", b.permute(x, channelsLast));
  const locations: Blob[] = [];
  const scores: Blob[] = [];
  const priors: Blob[] = [];
  for (const { features, minSize, maxSize, ratios, step } of sources) {
    // Each ratio also lies on its side.
    const boxes = 1 + (maxSize ? 1 : 0) + 2 * ratios.length;
    locations.push(flattened(b.conv(features, 4 * boxes, { kernel })));
    scores.push(flattened(b.conv(features, classes * boxes, { kernel })));
    const params: Params = {
      min_sizes: [minSize],
      ...(maxSize && { max_sizes: [maxSize] }),
      aspect_ratios: ratios,
      image_width: derived,
      image_height: derived,
      ...(step && { step_width: step, step_height: step }),
      offset: 0.5,
    };
    priors.push(b.layer("PriorBox", [features, data], params));
  }
  const location = b.concat(locations);
  const rows = b.layer("Reshape", b.concat(scores), { w: classes, h: -1 });
  const score = b.layer("Flatten", b.softmax(rows, 1));
  b.layer("DetectionOutput", [location, score, b.concat(priors, 1)], {
    num_class: classes,
    nms_threshold: 0.45,
    nms_top_k: 100,
    confidence_threshold: 0.25,
  });
}

/** 1×1 to fewer channels, then 3×3 with stride 2. */
function shrink(b: Builder, x: Blob, reduced: number, outputs: number): Blob {
  const activation = "relu";
  return b.conv(b.conv(x, reduced, { activation }), outputs, { kernel: 3, stride: 2, activation });
}

export function squeezenetSsd(size: number): Graph {
  const b = new Builder();
  const data = b.input(size);
  const [, at8, at16] = squeezenetFeatures(b, data);
  const fireAfterPool = (x: Blob): Blob => fire(b, b.maxPool(x, 3, { stride: 2, ceil: true }), 96, 384);
  const at32 = fireAfterPool(at16);
  const at64 = fireAfterPool(at32);
  const at128 = shrink(b, at64, 128, 256);
  const at256 = shrink(b, at128, 64, 128);
  const normalized = b.layer("BatchNorm", at8, { channels: at8.shape[0] });
  const sources: Source[] = [
    { features: normalized, minSize: 21, maxSize: 45, ratios: [2], step: 8 },
    { features: at16, minSize: 45, maxSize: 99, ratios: [2, 3], step: 16 },
    { features: at32, minSize: 99, maxSize: 153, ratios: [2, 3], step: 32 },
    { features: at64, minSize: 153, maxSize: 207, ratios: [2, 3], step: 64 },
    { features: at128, minSize: 207, maxSize: 261, ratios: [2, 3], step: 100 },
    { features: at256, minSize: 261, maxSize: 315, ratios: [2], step: 300 },
  ];
  detect(b, data, sources, 3);
  return b.graph;
}

export function mobilenetSsd(size: number): Graph {
  const b = new Builder();
  const data = b.input(size);
  const { at16, at32 } = mobilenetFeatures(b, data);
  const maps = [at16, at32];
  for (const [reduced, outputs] of [
    [256, 512],
    [128, 256],
    [128, 256],
    [64, 128],
  ]) {
    maps.push(shrink(b, maps[maps.length - 1], reduced, outputs));
  }
  const sizes = [60, 105, 150, 195, 240, 285, 300];
  const sources = maps.map(
    (features, i): Source =>
      i === 0
        ? { features, minSize: sizes[0], ratios: [2] }
        : { features, minSize: sizes[i], maxSize: sizes[i + 1], ratios: [2, 3] },
  );
  detect(b, data, sources, 1);
  return b.graph;
}
