/** Pixels on the device: from bytes, or from what a browser shows, which then never comes to JavaScript. */
import { UnsupportedError } from "../../base/errors.ts";
import type { Frame, LevelMap, Pixels, Placement } from "../../ir/pixels.ts";
import { type Storage, workgroupsAcross } from "../../kernels/webgpu/index.ts";
import { packNumbers, pixelsShader, pixelsWorkgroups } from "../../kernels/webgpu/pixels.ts";
import { usage } from "./adapter.ts";
import { align } from "./constants.ts";
import type { Device } from "./device.ts";

/** WebGPU's flags of textures. */
const textureUsage = { copySource: 1, copyTarget: 2, attachment: 16 } as const;

/** Where the pixels go. */
export interface PixelTarget {
  readonly values: GPUBuffer;
  /** Of the dense input, in groups of four. */
  readonly address: number;
  readonly storage: Storage;
}

/** What is there for pictures of one size that are placed in one way. */
interface Made {
  readonly placement: Placement;
  readonly channels: number;
  readonly isFrame: boolean;
  readonly pitch: number;
  readonly pixels: GPUBuffer;
  readonly texture: GPUTexture | undefined;
  readonly bindings: GPUBindGroup;
  readonly workgroups: number;
  close(): void;
}

export class PixelFeed {
  private readonly device: Device;
  private readonly target: PixelTarget;
  private readonly levels: GPUBuffer;
  private readonly planes: number;
  private readonly pipeline: GPUComputePipeline;
  private made: Made | undefined;

  private constructor(device: Device, target: PixelTarget, map: LevelMap, pipeline: GPUComputePipeline) {
    this.device = device;
    this.target = target;
    this.pipeline = pipeline;
    this.planes = map.mix.length;
    this.levels = this.buffer(this.planes * 1024, usage.storage);
    map.values.forEach((list, c) => {
      device.gpu.queue.writeBuffer(this.levels, c * 1024, list as BufferSource);
    });
  }

  static async make(device: Device, target: PixelTarget, map: LevelMap): Promise<PixelFeed> {
    const code = pixelsShader({ isHalf: target.storage !== "f32", mix: map.mix });
    const module = device.gpu.createShaderModule({ code });
    const pipeline = await device.gpu.createComputePipelineAsync({
      layout: "auto",
      compute: { module, entryPoint: "main" },
    });
    return new PixelFeed(device, target, map, pipeline);
  }

  /** Encodes what fills the input. Throws UnsupportedError for a picture that the device cannot hold. */
  encode(encoder: GPUCommandEncoder, pixels: Pixels): void {
    const frame = this.fitsTexture(pixels.placement) ? pixels.frame : undefined;
    let made = this.madeFor(pixels, frame !== undefined);
    if (!frame || !this.copyFrame(encoder, frame, made)) {
      made = this.madeFor(pixels, false);
      this.upload(pixels.data, made.pixels);
    }
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.pipeline);
    pass.setBindGroup(0, made.bindings);
    const { workgroups } = made;
    pass.dispatchWorkgroups(Math.min(workgroups, workgroupsAcross), Math.ceil(workgroups / workgroupsAcross));
    pass.end();
  }

  /** False where the device cannot take it, as software ones take no `VideoFrame`. */
  private copyFrame(
    encoder: GPUCommandEncoder,
    source: Frame,
    { placement, texture, pixels, pitch }: Made,
  ): boolean {
    const size = { width: placement.sourceWidth, height: placement.sourceHeight };
    try {
      // What is transparent lies on black, as on a canvas without alpha.
      this.device.gpu.queue.copyExternalImageToTexture(
        { source },
        { texture: texture!, premultipliedAlpha: true },
        size,
      );
    } catch {
      return false;
    }
    encoder.copyTextureToBuffer({ texture: texture! }, { buffer: pixels, bytesPerRow: pitch }, size);
    return true;
  }

  private upload(data: Pixels["data"], to: GPUBuffer): void {
    const { queue } = this.device.gpu;
    const whole = data.length & ~3;
    queue.writeBuffer(to, 0, data as BufferSource, 0, whole);
    if (whole === data.length) return;
    const rest = new Uint8Array(4);
    rest.set(data.subarray(whole));
    queue.writeBuffer(to, whole, rest);
  }

  private madeFor({ placement, channels }: Pixels, isFrame: boolean): Made {
    const { made } = this;
    if (made?.placement === placement && made.isFrame === isFrame && made.channels === channels) return made;
    made?.close();
    this.made = this.make(placement, channels, isFrame);
    return this.made;
  }

  private make(placement: Placement, channels: number, isFrame: boolean): Made {
    const { gpu } = this.device;
    const { sourceWidth, sourceHeight, width, height, left, top, columns, rows, border } = placement;
    const pitch = isFrame ? align(sourceWidth * 4, 256) : sourceWidth * channels;
    const bytes = align(pitch * sourceHeight, 4);
    this.checkSize(placement, bytes);
    const taps = Int32Array.from([columns, rows].flatMap(interleaved));
    const elements = this.planes * width * height;
    const { address, values } = this.target;
    const place = { left, top, columns: columns.from.length, rows: rows.from.length, border };
    const numbers = packNumbers({ width, height, ...place, channels, pitch, address, elements });
    const parts = {
      pixels: this.buffer(bytes, usage.storage),
      taps: this.buffer(taps.byteLength, usage.storage),
      numbers: this.buffer(numbers.byteLength, usage.uniform),
    };
    gpu.queue.writeBuffer(parts.taps, 0, taps);
    gpu.queue.writeBuffer(parts.numbers, 0, numbers);
    const texture = isFrame
      ? gpu.createTexture({
          size: { width: sourceWidth, height: sourceHeight },
          format: "rgba8unorm",
          usage: textureUsage.copySource | textureUsage.copyTarget | textureUsage.attachment,
        })
      : undefined;
    const entries = [values, parts.pixels, parts.taps, this.levels, parts.numbers].map((buffer, binding) => ({
      ...{ binding, resource: { buffer } },
    }));
    return {
      ...{ placement, channels, isFrame, pitch, pixels: parts.pixels, texture },
      bindings: gpu.createBindGroup({ layout: this.pipeline.getBindGroupLayout(0), entries }),
      workgroups: pixelsWorkgroups(elements),
      close: () => {
        for (const one of [...Object.values(parts), texture]) one?.destroy();
      },
    };
  }

  private fitsTexture({ sourceWidth, sourceHeight }: Placement): boolean {
    return Math.max(sourceWidth, sourceHeight) <= this.device.gpu.limits.maxTextureDimension2D;
  }

  private checkSize({ sourceWidth, sourceHeight }: Placement, bytes: number): void {
    const most = this.device.gpu.limits.maxStorageBufferBindingSize;
    if (bytes <= most) return;
    throw new UnsupportedError(
      `a picture of ${sourceWidth}x${sourceHeight} is more than the GPU (${this.device.name}) holds: ${Math.floor(most / 2 ** 20)} MiB; make it smaller or use the wasm backend`,
    );
  }

  private buffer(size: number, kind: number): GPUBuffer {
    return this.device.gpu.createBuffer({ size: align(size, 16), usage: kind | usage.copyTarget });
  }

  close(): void {
    this.made?.close();
    this.levels.destroy();
  }
}

/** `from, next, first, second` of each line. */
const interleaved = ({ from, next, first, second }: Placement["columns"]): number[] =>
  Array.from(from, (line, i) => [line, next[i], first[i], second[i]]).flat();
