/**
 * Values and views: what steps compute, and what blobs of the graph show of it.
 *
 * A *value* is what one step computes: a picture of `channels` channels, in memory `[row][pixel][slot]`, or a dense tensor
 * (a picture of one pixel whose channels are its elements). Blobs of the graph are *views* of values: a concatenation,
 * slice or shuffle of channels is a list of references to channels of values, so these layers cost nothing.
 *
 * Lowering makes values; where they lie in memory, and in which representations, is filled in by a plan, which owns them.
 */
import type { Shape } from "../ir/tensor.ts";

/** One channel of a value. */
export interface ChannelRef {
  readonly value: Value;
  readonly channel: number;
}

export type BlobView =
  /** Rank 3 (or rank 1 with one pixel): channels from one or more values of equal height and width. */
  | {
      readonly kind: "picture";
      readonly rank: 1 | 3;
      readonly height: number;
      readonly width: number;
      readonly channels: readonly ChannelRef[];
      /** Set when the blob holds requantized integers: their scale. */
      readonly int8Scale?: number;
    }
  /** Any rank: a strided float32 tensor over a value whose channels are in natural order. Strides in elements. */
  | {
      readonly kind: "dense";
      readonly value: Value;
      readonly shape: Shape;
      readonly strides: readonly number[];
      readonly offset: number;
    };

export type PictureView = Extract<BlobView, { kind: "picture" }>;
export type DenseView = Extract<BlobView, { kind: "dense" }>;

/** Rows and columns around a picture, so that windows may hang over. */
export interface Border {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

/** A step's wish to read some channels of a value in one representation. */
export interface Need {
  /** Number of the reading step: what decides the order of channels. */
  readonly step: number;
  readonly dtype: "f32" | "i8";
  /** i8: the quantization scale. */
  readonly scale: number;
  /** Channels read; all when absent. */
  readonly channels?: ReadonlySet<number>;
}

/**
 * Values whose channels must lie in the same order, because some step handles them channel by channel. The order itself is
 * free (weights are permuted to match) unless `fixed`.
 */
export class OrderClass {
  private parent: OrderClass | undefined;
  fixedFlag = false;
  members: Value[] = [];
  /** Slot of every channel, where that is not its number. */
  slots: Int32Array | undefined;

  get root(): OrderClass {
    let root: OrderClass = this;
    while (root.parent) root = root.parent;
    return root;
  }
  tie(other: OrderClass): void {
    const [a, b] = [this.root, other.root];
    if (a === b) return;
    b.parent = a;
    a.fixedFlag ||= b.fixedFlag;
    a.members.push(...b.members);
  }
  fix(): void {
    this.root.fixedFlag = true;
  }
}

/** One copy of a value in memory. */
export interface Representation {
  readonly value: Value;
  readonly dtype: "f32" | "i8";
  /** i8: scale of every channel (0 where nobody reads it). */
  readonly scales?: Float32Array;
  /** i8: what is added to every q before it is stored; where it is not 0, bytes are unsigned. */
  zeroPoint: number;
  /** i8: q + zeroPoint is proven not to be negative: stored bytes are in 0..127 + zeroPoint. */
  isUnsigned: boolean;
  /** Bytes between pixels and rows. */
  readonly pixelBytes: number;
  readonly rowBytes: number;
  readonly byteLength: number;
  /** From the start of the buffer to pixel (0, 0). */
  readonly originOffset: number;
  /** Address of the buffer, once decided. */
  address: number;
}

export class Value {
  readonly id: number;
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly order = new OrderClass();
  readonly border: Border = { top: 0, left: 0, bottom: 0, right: 0 };
  /** What the cells of the border hold, as those who read over the edges want it: a number, or a quantized integer. */
  private readonly fills: { f32?: number; i8?: number } = {};
  /** Strided readers rely on rows without border. */
  pinned = false;
  readonly needs: Need[] = [];
  representations: Representation[] = [];
  /** Number of the step that makes it. */
  producer = -1;
  /** Known before any run: the numbers, `[row][pixel][channel]`. */
  constant: Float32Array | undefined;

  constructor(id: number, name: string, channels: number, height: number, width: number) {
    this.id = id;
    this.name = name;
    this.channels = channels;
    this.height = height;
    this.width = width;
    this.order.members.push(this);
  }
  /** Slots of a pixel: channels rounded up to whole vectors of four. */
  get slotCount(): number {
    return (this.channels + 3) & ~3;
  }
  /** What the border of a representation holds. */
  fill(dtype: "f32" | "i8"): number {
    return this.fills[dtype] ?? 0;
  }
  /** Asks for a border that holds `fill`. False if somebody else wants another. */
  wantFill(dtype: "f32" | "i8", fill: number): boolean {
    this.fills[dtype] ??= fill;
    return this.fills[dtype] === fill;
  }
  /** Slot of a channel. */
  slot(channel: number): number {
    return this.order.root.slots?.[channel] ?? channel;
  }
  /** The representation in which a need is met. */
  find(dtype: "f32" | "i8", scale: number, channel: number): Representation {
    const found = this.representations.find(
      (r) => r.dtype === dtype && (dtype === "f32" || r.scales![channel] === scale),
    );
    if (!found)
      throw new Error(
        `value ${this.name}: no ${dtype} representation of channel ${channel} at scale ${scale}`,
      );
    return found;
  }
}

/** The value that a view shows whole and in order, if it does. */
export function wholeValue(view: PictureView): Value | undefined {
  const { value } = view.channels[0];
  if (value.channels !== view.channels.length) return undefined;
  return view.channels.every((ref, i) => ref.value === value && ref.channel === i) ? value : undefined;
}

/** The value whose pixels and channels are the rows and columns that a view of rank 2 shows, if there is one. */
export function wholeMatrix({
  value,
  shape: [rows, columns],
  strides,
  offset,
}: DenseView): Value | undefined {
  const isWhole = value.width === 1 && value.height === rows && value.channels === columns && offset === 0;
  return isWhole && strides[0] === value.slotCount && strides[1] === 1 ? value : undefined;
}

/** All of a value. */
export function pictureOf(value: Value, int8Scale?: number): PictureView {
  const channels = Array.from({ length: value.channels }, (_, channel) => ({ value, channel }));
  return { kind: "picture", rank: 3, height: value.height, width: value.width, channels, int8Scale };
}
