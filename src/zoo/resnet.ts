/** ResNet-18 and ResNet-50. He et al., "Deep residual learning for image recognition", 2015. */
import type { Graph } from "../ir/graph.ts";
import { type Blob, Builder } from "./builder.ts";

const relu = { activation: "relu" } as const;

/** Two 3×3 convolutions. */
function basic(b: Builder, x: Blob, width: number, stride: number): Blob {
  return b.conv(b.conv(x, width, { ...relu, kernel: 3, stride }), width, { kernel: 3 });
}

/** 1×1, 3×3, 1×1; the stride is in the first. */
function bottleneck(b: Builder, x: Blob, width: number, stride: number): Blob {
  const y = b.conv(b.conv(x, width, { ...relu, stride }), width, { ...relu, kernel: 3 });
  return b.conv(y, width * 4);
}

/** `blocks[i]` blocks at width 64·2^i. The first of each stage has a convolution in its shortcut. */
function resnet(size: number, block: typeof basic, expansion: number, blocks: readonly number[]): Graph {
  const b = new Builder();
  let x = b.conv(b.input(size), 64, { ...relu, kernel: 7, stride: 2 });
  x = b.maxPool(x, 3, { stride: 2, ceil: true });
  blocks.forEach((count, stage) => {
    const width = 64 * 2 ** stage;
    for (let i = 0; i < count; i++) {
      const stride = i === 0 && stage > 0 ? 2 : 1;
      const shortcut = i === 0 ? b.conv(x, width * expansion, { stride }) : x;
      x = b.relu(b.eltwiseSum(shortcut, block(b, x, width, stride)));
    }
  });
  b.softmax(b.fullyConnected(b.averagePool(x, 7, { ceil: true }), 1000));
  return b.graph;
}

export function resnet18(size: number): Graph {
  return resnet(size, basic, 1, [2, 2, 2, 2]);
}
export function resnet50(size: number): Graph {
  return resnet(size, bottleneck, 4, [3, 4, 6, 3]);
}
