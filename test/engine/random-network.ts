/** Random networks: layers of every kind, on blobs with several readers, in any order. */
import { Random } from "../../src/base/random.ts";

interface Blob {
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Activations that round like the reference. */
const activations = ["", "9=1", "9=2 -23310=1,0.1", "9=3 -23310=2,-0.3,0.75"];
const most = { channels: 40, pixels: 12 * 14 };

/** A random network of int8 and float layers as `.param` lines, without header and Input. Made of a seed. */
export class Network {
  readonly lines: string[] = [];
  readonly blobs: Blob[];
  /** Blobs that the engine's kernels only come close to. */
  readonly close: string[] = [];
  private readonly random: Random;

  constructor(seed: number) {
    this.random = new Random(seed);
    const random = this.random;
    this.blobs = [
      { name: "x", channels: random.int(1, 9), height: random.int(3, 9), width: random.int(3, 11) },
    ];
    for (let wanted = random.int(8, 24); this.lines.length < wanted; ) {
      if (random.next() < 0.6) this.grow();
      else this.growFloat();
    }
  }

  /** A layer with one output that is no picture yet, or never. */
  private line(type: string, from: readonly string[], rest: string): string {
    const n = this.lines.length;
    this.lines.push(`${type} l${n} ${from.length} 1 ${[...from, `b${n}`].join(" ")} ${rest}`);
    return `b${n}`;
  }

  /** Such a layer, whose kernel comes close to the reference. */
  private closeLine(type: string, from: readonly string[], rest: string): string {
    const blob = this.line(type, from, rest);
    this.close.push(blob);
    return blob;
  }

  /** A fully connected int8 layer on a vector; its outputs are a picture of one pixel. */
  private connect(vector: string): void {
    const outputs = this.random.int(1, 12);
    const made = this.line("InnerProduct", [vector], `0=${outputs} 1=1 8=2`);
    const name = this.line("Reshape", [made], `0=1 1=1 2=${outputs}`);
    this.blobs.push({ name, channels: outputs, height: 1, width: 1 });
  }

  private flatten(blob: string): string {
    return this.line("Flatten", [blob], "");
  }

  /** Layers of float kernels, and integers that come of them. */
  private growFloat(): void {
    const { random } = this;
    const a = this.pick();
    const { channels, height, width } = a;
    const picture = (name: string): void => {
      this.blobs.push({ ...a, name });
    };
    switch (random.int(0, 10)) {
      case 0:
        picture(this.closeLine("Softmax", [a.name], "0=0 1=1"));
        break;
      case 1: {
        const matrix = this.line("Reshape", [a.name], `0=-1 1=${channels}`);
        const rows = this.closeLine("Softmax", [matrix], `0=${random.int(0, 1)} 1=1`);
        picture(this.line("Reshape", [rows], `0=${width} 1=${height} 2=${channels}`));
        break;
      }
      case 2:
        if (channels % 4 === 0) picture(this.closeLine("LRN", [a.name], "1=5 2=0.5"));
        break;
      case 3: {
        const [h, w] = [random.int(1, 12), random.int(1, 14)];
        const name = this.closeLine("Interp", [a.name], `0=2 3=${h} 4=${w}`);
        this.blobs.push({ name, channels, height: h, width: w });
        break;
      }
      case 4:
        picture(this.closeLine("Pooling", [a.name], "0=1 1=3 2=1 3=1 5=1"));
        break;
      case 5: {
        const name = this.line("Padding", [a.name], "0=1 1=0 2=2 3=1");
        if ((height + 1) * (width + 3) > most.pixels) break;
        this.blobs.push({ name, channels, height: height + 1, width: width + 3 });
        break;
      }
      case 6:
        this.connect(this.flatten(this.line("Permute", [a.name], `0=${random.pick([1, 2, 3, 4, 5])}`)));
        break;
      case 7:
        this.connect(this.line("Concat", [this.flatten(a.name), this.flatten(this.pick().name)], "0=0"));
        break;
      case 8:
        if (random.next() < 0.3) picture(this.line("AbsVal", [a.name], ""));
        else this.connect(this.line("AbsVal", [this.flatten(a.name)], ""));
        break;
      case 9: {
        const vector = this.line("InnerProduct", [this.flatten(a.name)], "0=16 1=1 8=2");
        let row = this.line("Reshape", [vector], "0=16 1=1");
        if (random.next() < 0.7) row = this.closeLine("LayerNorm", [row], "0=16 1=1e-5 2=1");
        else row = this.closeLine("MultiHeadAttention", [row], "0=16 1=2 2=256");
        this.connect(this.flatten(row));
        break;
      }
      case 10: {
        const integers = this.line("Quantize", [a.name], "0=1");
        const outputs = random.int(1, 24);
        const name = this.line("Convolution", [integers], `0=${outputs} 1=1 5=1 8=2`);
        this.blobs.push({ name, channels: outputs, height, width });
        break;
      }
    }
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
