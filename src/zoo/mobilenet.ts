/**
 * MobileNet v1, v2 and v3. Howard et al., "MobileNets", 2017; Sandler et al., "MobileNetV2: Inverted residuals and linear
 * bottlenecks", 2018; Howard et al., "Searching for MobileNetV3", 2019.
 */
import type { Graph } from "../ir/graph.ts";
import { classify, type InvertedResidualOptions, invertedResidual, repeat } from "./_blocks.ts";
import { type Blob, Builder } from "./builder.ts";

/** Depthwise separable convolution. */
export function separable(b: Builder, x: Blob, outputs: number, stride = 1): Blob {
  const filtered = b.depthwise(x, 3, { stride, activation: "relu" });
  return b.conv(filtered, outputs, { activation: "relu" });
}

const v1Blocks: readonly (readonly [outputs: number, stride: number])[] = [
  [64, 1],
  [128, 2],
  [128, 1],
  [256, 2],
  [256, 1],
  [512, 2],
  ...repeat(5, [512, 1] as const),
  [1024, 2],
  [1024, 1],
];

/** MobileNet v1's features at 1/16 and 1/32 of the input's size. */
export function mobilenetFeatures(b: Builder, data: Blob): { at16: Blob; at32: Blob } {
  let x = b.conv(data, 32, { kernel: 3, stride: 2, activation: "relu" });
  let at16 = x;
  for (const [outputs, stride] of v1Blocks) {
    if (outputs === 1024 && stride === 2) at16 = x;
    x = separable(b, x, outputs, stride);
  }
  return { at16, at32: x };
}

export function mobilenet(size: number): Graph {
  const b = new Builder();
  classify(b, mobilenetFeatures(b, b.input(size)).at32);
  return b.graph;
}

/** Expansion factor, output channels, blocks, stride of the first block. */
const v2Stages: readonly (readonly [t: number, c: number, n: number, s: number])[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
];

/**
 * MobileNetV2 up to its last convolution (1/32), and what the last block with stride 2 reads after expansion (1/16).
 * `alwaysExpand`: the first block has its 1×1 convolution though it adds no channels.
 */
export function mobilenetV2Features(
  b: Builder,
  data: Blob,
  alwaysExpand = false,
): { at16: Blob; at32: Blob } {
  let x = b.conv(data, 32, { kernel: 3, stride: 2, activation: "relu" });
  let at16 = x;
  for (const [t, outputs, n, s] of v2Stages) {
    for (let i = 0; i < n; i++) {
      const stride = i === 0 ? s : 1;
      const options: InvertedResidualOptions = {
        expanded: x.shape[0] * t,
        outputs,
        stride,
        activation: "relu",
        alwaysExpand,
        sum: "eltwiseSum",
      };
      const { output, inside } = invertedResidual(b, x, options);
      if (stride === 2) at16 = inside;
      x = output;
    }
  }
  return { at16, at32: b.conv(x, 1280, { activation: "relu" }) };
}

export function mobilenetV2(size: number): Graph {
  const b = new Builder();
  classify(b, mobilenetV2Features(b, b.input(size), true).at32);
  return b.graph;
}

type Nonlinearity = "relu" | "hardSwish";

/** MobileNetV3-Large: kernel, channels inside, outputs, squeeze-and-excitation, nonlinearity, stride. */
const v3Blocks: readonly (readonly [
  kernel: number,
  expanded: number,
  outputs: number,
  squeeze: boolean,
  nonlinearity: Nonlinearity,
  stride: number,
])[] = [
  [3, 16, 16, false, "relu", 1],
  [3, 64, 24, false, "relu", 2],
  [3, 72, 24, false, "relu", 1],
  [5, 72, 40, true, "relu", 2],
  [5, 120, 40, true, "relu", 1],
  [5, 120, 40, true, "relu", 1],
  [3, 240, 80, false, "hardSwish", 2],
  [3, 200, 80, false, "hardSwish", 1],
  [3, 184, 80, false, "hardSwish", 1],
  [3, 184, 80, false, "hardSwish", 1],
  [3, 480, 112, true, "hardSwish", 1],
  [3, 672, 112, true, "hardSwish", 1],
  [5, 672, 160, true, "hardSwish", 1],
  [5, 672, 160, true, "hardSwish", 2],
  [5, 960, 160, true, "hardSwish", 1],
];

/** Channels weighted by what two fully connected layers make of their means. */
function squeezeExcite(b: Builder, x: Blob): Blob {
  const [channels] = x.shape;
  const reduced = b.fullyConnected(b.globalPool(x), channels / 4, "relu");
  return b.multiply(x, b.hardSigmoid(b.fullyConnected(reduced, channels)));
}

function v3Block(
  b: Builder,
  x: Blob,
  [kernel, expanded, outputs, squeeze, nonlinearity, stride]: (typeof v3Blocks)[number],
): Blob {
  const fused = nonlinearity === "relu" ? "relu" : undefined;
  const activate = (y: Blob): Blob => (fused ? y : b.hardSwish(y));
  const inside = expanded === x.shape[0] ? x : activate(b.conv(x, expanded, { activation: fused }));
  let y = b.depthwise(inside, kernel, { stride, activation: squeeze ? undefined : fused });
  // With excitation the nonlinearity comes after it.
  if (squeeze) y = squeezeExcite(b, y);
  y = squeeze && fused ? b.relu(y) : activate(y);
  const projected = b.conv(y, outputs);
  return stride === 1 && outputs === x.shape[0] ? b.add(x, projected) : projected;
}

export function mobilenetV3(size: number): Graph {
  const b = new Builder();
  const stem = b.conv(b.input(size), 16, { kernel: 3, stride: 2 });
  let x = b.multiply(stem, b.hardSigmoid(stem));
  for (const block of v3Blocks) x = v3Block(b, x, block);
  x = b.hardSwish(b.globalPool(b.hardSwish(b.conv(x, 960))));
  x = b.hardSwish(b.fullyConnected(b.layer("Reshape", x, { w: -1 }), 1280));
  b.softmax(b.fullyConnected(x, 1000));
  return b.graph;
}
