/** Building blocks that several families share. */
import type { Blob, Builder, Fused } from "./builder.ts";

/** Rows of a table, each so many times. */
export function repeat<T>(count: number, row: T): T[] {
  return new Array<T>(count).fill(row);
}

/** Global pooling, a fully connected layer and softmax over 1000 classes. */
export function classify(b: Builder, x: Blob): Blob {
  return b.softmax(b.fullyConnected(b.globalPool(x), 1000));
}

export interface InvertedResidualOptions {
  /** Channels inside; where they equal the input's and `alwaysExpand` is not set, the first convolution is left out. */
  readonly expanded: number;
  readonly outputs: number;
  readonly kernel?: number;
  readonly stride?: number;
  readonly activation: Fused;
  readonly alwaysExpand?: boolean;
  /** Which layer adds the shortcut; default `add`. */
  readonly sum?: "add" | "eltwiseSum";
}

/**
 * MobileNetV2's block: 1×1 to more channels, depthwise, 1×1 to few channels without activation, and a shortcut where input and
 * output have one shape. `inside` is what the depthwise convolution reads.
 */
export function invertedResidual(
  b: Builder,
  x: Blob,
  options: InvertedResidualOptions,
): { output: Blob; inside: Blob } {
  const { expanded, outputs, kernel = 3, stride = 1, activation, alwaysExpand, sum = "add" } = options;
  const isExpanded = alwaysExpand || expanded !== x.shape[0];
  const inside = isExpanded ? b.conv(x, expanded, { activation }) : x;
  const projected = b.conv(b.depthwise(inside, kernel, { stride, activation }), outputs);
  const hasShortcut = stride === 1 && outputs === x.shape[0];
  return { output: hasShortcut ? b[sum](x, projected) : projected, inside };
}
