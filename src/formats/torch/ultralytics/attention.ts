/**
 * Self-attention over the cells of a grid: YOLOv10, 11, 26 (`Attention`), YOLO12 (`AAttn`, in areas), and the blocks around it.
 * Source: ultralytics 8.4 nn/modules/block.py.
 */
import { absent } from "../../../ops/reshape.ts";
import { add, binaryNumber, concat, halves } from "../blocks.ts";
import type { Emitter, NetworkBuilder } from "../builder.ts";
import type { TorchModule } from "../module.ts";

interface Heads {
  readonly count: number;
  /** Channels of a head's queries and keys, and of its values. */
  readonly key: number;
  readonly value: number;
  /** What products of queries and keys are multiplied by. */
  readonly scale: number;
  /** Equal parts of the cells, in reading order, in which cells attend to each other only. */
  readonly areas: number;
}

/** Of ncnn's Permute: order `h w c` (a matrix transposed) and, of four axes, `h w d c` and `w d h c`. */
const transposed = 1;
const middleSwapped = 2;

/** The channels of `qkv` are, head after head, its queries, keys and values. */
function attend(b: NetworkBuilder, m: TorchModule, x: string, heads: Heads): string {
  m.expectChildren(["qkv", "proj", "pe"]);
  const { count, key, value, areas } = heads;
  const channels = count * (2 * key + value);
  const made = outputsOf(m.child("qkv"));
  // A wrong number would pass as another number of cells.
  if (made !== channels) {
    m.fail(`qkv gives ${made} channels, expected ${channels}: ${count} heads of 2 times ${key} and ${value}`);
  }
  const qkv = b.chain(m, ["qkv"], x);
  const rows = b.layer(m, "Reshape", m.at("heads"), [qkv], {
    w: -1,
    h: areas > 1 ? areas : 2 * key + value,
    ...(areas > 1 ? { d: 2 * key + value } : {}),
    c: count,
  });
  const apart =
    areas > 1 ? b.layer(m, "Permute", m.at("areas"), [rows], { order_type: middleSwapped }) : rows;
  // Axis of the channels of a head.
  const axis = areas > 1 ? 2 : 1;
  const [q, k, v] = b.layers(m, "Slice", m.at("split"), [apart], 3, { slices: [key, key, absent], axis });
  const scaled = binaryNumber(b, m, "mul", "scale", q, heads.scale);
  const turned = b.layer(m, "Permute", m.at("q"), [scaled], { order_type: transposed });
  const products = b.layer(m, "MatMul", m.at("qk"), [turned, k]);
  const weights = b.layer(m, "Softmax", m.at("softmax"), [products], { axis: axis + 1, fixbug0: 1 });
  const mixed = b.layer(m, "MatMul", m.at("mix"), [v, weights], { transB: 1 });
  const grid = (blob: string, part: string): string => {
    const joined =
      areas > 1 ? b.layer(m, "Permute", m.at(`${part}.areas`), [blob], { order_type: middleSwapped }) : blob;
    return b.layer(m, "Reshape", m.at(part), [joined, qkv], { shape_expr: `1w,1h,${count * value}` });
  };
  const position = b.chain(m, ["pe"], grid(v, "v"));
  return b.chain(m, ["proj"], add(b, m, grid(mixed, "mixed"), position));
}

/** Channels that a Conv gives. */
const outputsOf = (m: TorchModule): number => m.child("conv").tensor("weight", 4).shape[0];

export const attention: Emitter = (b, m, [x]) =>
  attend(b, m, x, {
    count: m.integer("num_heads", 1),
    key: m.integer("key_dim", 1),
    value: m.integer("head_dim", 1),
    scale: m.number("scale"),
    areas: 1,
  });

export const areaAttention: Emitter = (b, m, [x]) => {
  const size = m.integer("head_dim", 1);
  return attend(b, m, x, {
    count: m.integer("num_heads", 1),
    ...{ key: size, value: size, scale: size ** -0.5 },
    areas: m.integer("area", 1),
  });
};

/** Attention and a small network on every cell, each added to what it reads. */
function attentionBlock(b: NetworkBuilder, m: TorchModule, x: string, network: string, isAdded: boolean) {
  const seen = b.chain(m, ["attn"], x);
  const y = isAdded ? add(b, m, x, seen) : seen;
  const z = b.chain(m, [network], y);
  return isAdded ? add(b, m, y, z) : z;
}

export const psaBlock: Emitter = (b, m, [x]) => {
  m.expectChildren(["attn", "ffn"]);
  return attentionBlock(b, m, x, "ffn", m.flag("add"));
};

export const aBlock: Emitter = (b, m, [x]) => {
  m.expectChildren(["attn", "mlp"]);
  return attentionBlock(b, m, x, "mlp", true);
};

/** YOLOv10: the attention block's parts are its own. */
export const psa: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "attn", "ffn"]);
  const [left, right] = halves(b, m, b.chain(m, ["cv1"], x));
  return b.chain(m, ["cv2"], concat(b, m, [left, attentionBlock(b, m, right, "ffn", true)]));
};

/** The second half of the channels goes through a chain. */
export const c2psa: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "m"]);
  const [left, right] = halves(b, m, b.chain(m, ["cv1"], x));
  return b.chain(m, ["cv2"], concat(b, m, [left, b.chain(m, ["m"], right)]));
};

export const a2c2f: Emitter = (b, m, [x]) => {
  m.expectChildren(["cv1", "cv2", "m"]);
  const parts = [b.chain(m, ["cv1"], x)];
  for (const block of m.list("m")) parts.push(b.emit(block, parts.at(-1)!));
  const y = b.chain(m, ["cv2"], concat(b, m, parts));
  const gamma = m.optionalTensor("gamma")?.data;
  if (!gamma) return y;
  const scaled = b.layer(m, "Scale", m.at("gamma"), [y], { scale_data_size: gamma.length }, { scale: gamma });
  return add(b, m, x, scaled);
};
