/** Pixels become the input picture: what `place` is given, and the rows of the source that it reads. */
import type { LevelMap, Pixels, Placement, Taps } from "../../ir/pixels.ts";
import {
  placeColumnBytes,
  placeColumns,
  placeLineBytes,
  placeRowBytes,
  placeTableBytes,
} from "../../kernels/wasm/index.ts";
import { quantize } from "../../ops/int8.ts";
import { origin } from "../representations.ts";
import type { Value } from "../values.ts";
import { align, type StaticData, slack } from "./memory.ts";
import type { PixelPlan } from "./records.ts";

/** A row of the widest picture (65535 pixels) twice: what a line reads. */
const stagingBytes = 2 * 65535 * 4;

/** Says where all of it lies, from an address behind what the network itself needs; and where it ends. */
export function planPixels(
  value: Value,
  levels: LevelMap,
  data: StaticData,
): (start: number) => { pixels: PixelPlan; end: number } {
  const { width, height, representations } = value;
  const tables = data.add(packTables(value, levels));
  return (start) => {
    let end = start;
    const place = (bytes: number): number => {
      const address = end;
      end = align(end + bytes + slack);
      return address;
    };
    const pixels: PixelPlan = {
      spec: {
        kind: "place",
        width,
        mix: levels.mix,
        stores: representations.map(({ dtype, rowBytes }) => ({ dtype, rowBytes })),
      },
      height,
      outputs: representations.map(origin),
      tables,
      columns: place(placeColumns(width) * placeColumnBytes),
      lines: place(height * placeLineBytes),
      upper: place(placeRowBytes(width)),
      lower: place(placeRowBytes(width)),
      staging: place(stagingBytes),
    };
    return { pixels, end };
  };
}

/** Words, for each representation and channel: what each level becomes, a float or the byte of its slot; and the border, still open. */
function packTables({ representations, slotCount }: Value, { values }: LevelMap): Uint8Array {
  const bytes = new Uint8Array(representations.length * values.length * placeTableBytes);
  const [floats, words] = [new Float32Array(bytes.buffer), new Int32Array(bytes.buffer)];
  representations.forEach(({ dtype, scales, zeroPoint }, r) => {
    values.forEach((list, c) => {
      const at = ((r * values.length + c) * placeTableBytes) / 4;
      if (dtype === "f32") {
        floats.set(list, at);
        return;
      }
      // Slots that no channel is in hold zeros.
      let rest = 0;
      if (c === 0) for (let slot = values.length; slot < slotCount; slot++) rest |= zeroPoint << (8 * slot);
      for (const [level, number] of list.entries()) {
        words[at + level] = (((quantize(number, scales![c]) + zeroPoint) & 255) << (8 * c)) | rest;
      }
    });
  });
  return bytes;
}

type Place = (...args: readonly number[]) => void;

/** Rows of the source are copied, `[from, bytes, to]` each, and then output rows [begin, end) made of them. */
interface Band {
  readonly copies: Int32Array;
  /** What the kernel is called with. */
  readonly args: readonly number[];
}

/** Feeds one program. */
export class PixelFeed {
  private readonly plan: PixelPlan;
  private readonly bytes: Uint8Array;
  private readonly functions: Readonly<Record<3 | 4, Place>>;
  private placement: Placement | undefined;
  private channels: 3 | 4 = 3;
  private bands: Band[] = [];

  constructor(plan: PixelPlan, memory: WebAssembly.Memory, exports: WebAssembly.Exports) {
    this.plan = plan;
    this.bytes = new Uint8Array(memory.buffer);
    this.functions = { 3: exports.place3 as Place, 4: exports.place4 as Place };
  }

  /** Makes the input picture. */
  place({ data, channels, placement }: Pixels): void {
    if (placement !== this.placement || channels !== this.channels) this.prepare(placement, channels);
    const place = this.functions[channels];
    for (const { copies, args } of this.bands) {
      for (let i = 0; i < copies.length; i += 3) {
        const source = new Uint8Array(data.buffer, data.byteOffset + copies[i], copies[i + 1]);
        this.bytes.set(source, copies[i + 2]);
      }
      place(...args);
    }
  }

  private prepare(placement: Placement, channels: 3 | 4): void {
    const { plan } = this;
    const words = new Int32Array(this.bytes.buffer);
    const columns = words.subarray(plan.columns / 4);
    columns.fill(0, 0, placeColumns(plan.spec.width) * 2);
    for (let x = 0; x < placement.columns.from.length; x++) {
      const [first, second] = weightsOf(placement.columns, x);
      columns[2 * x] = placement.columns.from[x] * channels;
      columns[2 * x + 1] = first | (second << 16);
    }
    const rows = this.writeLines(words.subarray(plan.lines / 4), placement);
    for (let table = 0; table < plan.outputs.length * plan.spec.mix.length; table++) {
      const at = (plan.tables + table * placeTableBytes) / 4;
      words[at + 256] = words[at + placement.border];
    }
    const { columns: across, left } = placement;
    const rowBytes = placement.sourceWidth * channels;
    const bands = this.bandsOf(rows, words.subarray(plan.lines / 4), rowBytes);
    const { lines, upper, lower, tables, staging, outputs } = plan;
    const fixed = [plan.columns, lines, upper, lower, tables, left, across.from.length, ...outputs];
    this.bands = bands.map(({ copies, first, begin, end }) => ({
      copies,
      args: [staging, rowBytes, first, ...fixed, begin, end],
    }));
    this.placement = placement;
    this.channels = channels;
  }

  /** Writes what is known of the output rows; gives the source rows that are read, each once, in order: lines name them by their place there. */
  private writeLines(lines: Int32Array, { rows, top }: Placement): number[] {
    const needed: number[] = [];
    const numberOf = (row: number): number => {
      const before = needed.lastIndexOf(row);
      return before < 0 ? needed.push(row) - 1 : before;
    };
    for (let y = 0; y < this.plan.height; y++) {
      const i = y - top;
      const isShown = i >= 0 && i < rows.from.length;
      const [upper, lower] = isShown ? [numberOf(rows.from[i]), numberOf(rows.next[i])] : [-1, -1];
      lines.set([upper, lower, isShown ? rows.first[i] : 0, isShown ? rows.second[i] : 0], 4 * y);
    }
    return needed;
  }

  /** As many output rows at a time as can be made of the source rows that fit the staging area. */
  private bandsOf(
    rows: readonly number[],
    lines: Int32Array,
    rowBytes: number,
  ): { copies: Int32Array; first: number; begin: number; end: number }[] {
    const { height, staging } = this.plan;
    const most = Math.floor(stagingBytes / rowBytes);
    const bands: ReturnType<PixelFeed["bandsOf"]> = [];
    for (let begin = 0, y = 0; begin < height; begin = y) {
      let [first, last] = [-1, -1];
      for (y = begin; y < height; y++) {
        const [upper, lower] = [lines[4 * y], lines[4 * y + 1]];
        if (upper < 0) continue;
        if (first < 0) first = upper;
        if (lower - first >= most) break;
        last = lower;
      }
      bands.push({ copies: copiesOf(rows, first, last, rowBytes, staging), first, begin, end: y });
    }
    return bands;
  }
}

/** A single source line is the first and the second at once; the kernel reads the one behind it. */
function weightsOf({ from, next, first, second }: Taps, i: number): readonly [number, number] {
  return next[i] === from[i] ? [first[i] + second[i], 0] : [first[i], second[i]];
}

/** Rows that lie side by side in the source are copied together. */
function copiesOf(
  rows: readonly number[],
  first: number,
  last: number,
  rowBytes: number,
  to: number,
): Int32Array {
  const copies: number[] = [];
  for (let i = first; first >= 0 && i <= last; i++) {
    if (i > first && rows[i] === rows[i - 1] + 1) copies[copies.length - 2] += rowBytes;
    else copies.push(rows[i] * rowBytes, rowBytes, to + (i - first) * rowBytes);
  }
  return Int32Array.from(copies);
}
