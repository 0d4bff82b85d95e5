/**
 * Random int8 networks: layers of every kind that moves or sums integers, on blobs with several readers, in any order. What a
 * planner can get wrong between layers (orders of channels, scales, zero points, borders, reuse of memory) shows here as a
 * difference from the reference kernels, which are told nothing of all that. `NCNNKIT_FUZZ=1000` runs more of them.
 */
import { describe, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { runReference } from "../../src/engine/reference.ts";
import { expectEqual, graphOf, int8Machines, randomInputs, runEngine } from "./random-graph.ts";

interface Blob {
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Activations that round like the reference. */
const activations = ["", "9=1", "9=2 -23310=1,0.1", "9=3 -23310=2,-0.3,0.75"];
const most = { channels: 40, pixels: 12 * 14 };

class Network {
  readonly lines: string[] = [];
  readonly blobs: Blob[];
  private readonly random: Random;

  constructor(seed: number) {
    this.random = new Random(seed);
    const random = this.random;
    this.blobs = [
      { name: "x", channels: random.int(1, 9), height: random.int(3, 9), width: random.int(3, 11) },
    ];
    for (let wanted = random.int(8, 24); this.lines.length < wanted; ) this.grow();
  }

  private add(type: string, from: readonly Blob[], rest: string, ...to: Omit<Blob, "name">[]): void {
    const n = this.lines.length;
    const made = to.map((blob, i) => ({ ...blob, name: `b${n}_${i}` }));
    const names = [...from, ...made].map(({ name }) => name).join(" ");
    this.lines.push(`${type} l${n} ${from.length} ${made.length} ${names} ${rest}`);
    this.blobs.push(...made);
  }

  /** A blob, one of the latest most of the time. */
  private pick(): Blob {
    const { random, blobs } = this;
    return random.next() < 0.5 ? blobs[Math.max(0, blobs.length - random.int(1, 3))] : random.pick(blobs);
  }

  private grow(): void {
    const { random } = this;
    const a = this.pick();
    const { channels, height, width } = a;
    const like = this.blobs.filter((b) => b.height === height && b.width === width);
    const window = (): { text: string; height: number; width: number } | undefined => {
      const kernel = random.pick([1, 1, 3, 3, 5]);
      const stride = random.pick([1, 1, 2]);
      const pad = random.pick([kernel >> 1, 0]);
      const [h, w] = [height, width].map((extent) => Math.floor((extent + 2 * pad - kernel) / stride) + 1);
      return h < 1 || w < 1 ? undefined : { text: `1=${kernel} 3=${stride} 4=${pad}`, height: h, width: w };
    };
    switch (random.int(0, 10)) {
      case 0:
      case 1:
      case 2: {
        const to = window();
        const outputs = random.int(1, 24);
        const rest = `0=${outputs} 5=1 8=2 ${random.pick(activations)}`;
        if (to) this.add("Convolution", [a], `${to.text} ${rest}`, { ...to, channels: outputs });
        break;
      }
      case 3:
      case 4: {
        const to = window();
        const rest = `0=${channels} 7=${channels} 5=1 8=1 ${random.pick(activations)}`;
        if (to && channels > 1)
          this.add("ConvolutionDepthWise", [a], `${to.text} ${rest}`, { ...to, channels });
        break;
      }
      case 5: {
        const parts = [a, random.pick(like), random.pick(like)].slice(0, random.int(2, 3));
        const sum = parts.reduce((n, part) => n + part.channels, 0);
        if (sum <= most.channels) this.add("Concat", parts, "", { ...a, channels: sum });
        break;
      }
      case 6: {
        if (channels < 2) break;
        const cut = random.int(1, channels - 1);
        const halves = [cut, channels - cut].map((count) => ({ ...a, channels: count }));
        if (random.next() < 0.5) this.add("Slice", [a], `-23300=2,${cut},-233`, ...halves);
        else this.add("Crop", [a], `-23309=1,${cut} -23310=1,${channels} -23311=1,0`, halves[1]);
        break;
      }
      case 7:
        for (const groups of [2, 3]) {
          if (channels % groups) continue;
          this.add("ShuffleChannel", [a], `0=${groups}`, { ...a });
          break;
        }
        break;
      case 8:
        if (height * width * 4 > most.pixels) break;
        this.add("Interp", [a], "0=1 1=2.0 2=2.0", { channels, height: 2 * height, width: 2 * width });
        break;
      case 9: {
        if (height < 3 || width < 3) break;
        const stride = random.pick([1, 2]);
        const [h, w] = [height, width].map((extent) => Math.floor((extent - 1) / stride) + 1);
        this.add("Pooling", [a], `0=0 1=3 2=${stride} 3=1 5=1`, { channels, height: h, width: w });
        break;
      }
      case 10: {
        const b = random.pick(like.filter((blob) => blob.channels === channels));
        if (random.next() < 0.6) this.add("BinaryOp", [a, b], "0=0", { ...a });
        else this.add("ReLU", [a], "0=0.0", { ...a });
        break;
      }
    }
  }
}

async function check(seed: number): Promise<void> {
  const { lines, blobs } = new Network(seed);
  const [{ name, channels, height, width }] = blobs;
  const shapes = { [name]: [channels, height, width] };
  const graph = graphOf(lines.join("\n"), shapes, { seed });
  const inputs = randomInputs(shapes, seed);
  const expected = runReference(graph, inputs, graph.outputs);
  for (const [machine, target] of int8Machines) {
    const { outputs } = await runEngine(graph, inputs, target);
    for (const blob of graph.outputs) expectEqual(outputs[blob], expected[blob], `${machine}, ${blob}`);
  }
}

describe("random int8 networks", () => {
  const count = Number(process.env.NCNNKIT_FUZZ ?? 60);
  it.each(Array.from({ length: count }, (_, i) => i + 1))("number %d", check);
});
