/** What kernels read beside values: weights and tables, as ranges of a few large buffers. */
import { UnsupportedError } from "../../base/errors.ts";
import { usage } from "./adapter.ts";
import type { Device } from "./device.ts";

/** A range of a buffer, by number. */
interface Place {
  readonly buffer: number;
  readonly offset: number;
  readonly size: number;
}

/** Ranges begin at multiples of this; every device allows it. */
const alignment = 256;
/** Buffers become no larger than this, but for a single range. */
const wantedBytes = 64 * 2 ** 20;

type Numbers = Float32Array | Uint32Array | Uint16Array;

/** The next multiple. */
export const align = (bytes: number, to: number): number => Math.ceil(bytes / to) * to;

export class Constants {
  readonly buffers: GPUBuffer[] = [];
  bytes = 0;
  private readonly device: Device;
  private readonly sizes: number[] = [];
  private readonly waiting: { readonly place: Place; readonly data: Numbers }[] = [];
  private readonly empty: Place;

  constructor(device: Device) {
    this.device = device;
    this.empty = this.place(new Uint32Array(64));
  }

  /** A place for numbers; nothing shares one place. */
  add(data: Numbers | undefined): Place {
    return data === undefined || data.length === 0 ? this.empty : this.place(data);
  }

  private place(data: Numbers): Place {
    const { maxStorageBufferBindingSize: bound, maxBufferSize } = this.device.gpu.limits;
    const size = Math.ceil(data.byteLength / 16) * 16;
    if (size > Math.min(bound, maxBufferSize)) {
      throw new UnsupportedError(
        `a layer has ${Math.ceil(size / 2 ** 20)} MiB of weights, and the GPU (${this.device.name}) binds ${Math.floor(bound / 2 ** 20)} at most (maxStorageBufferBindingSize); use the wasm backend`,
      );
    }
    let buffer = this.sizes.length - 1;
    if (buffer < 0 || this.sizes[buffer] + size > wantedBytes) buffer = this.sizes.push(0) - 1;
    const place = { buffer, offset: this.sizes[buffer], size };
    this.sizes[buffer] = Math.ceil((place.offset + size) / alignment) * alignment;
    this.waiting.push({ place, data });
    return place;
  }

  /** Makes the buffers and fills them. */
  upload(): void {
    const { gpu } = this.device;
    for (const size of this.sizes) {
      this.buffers.push(gpu.createBuffer({ size, usage: usage.storage | usage.uniform | usage.copyTarget }));
      this.bytes += size;
    }
    for (const { place, data } of this.waiting) {
      let whole = data;
      if (data.byteLength % 4) {
        whole = new Uint16Array(data.length + 1);
        whole.set(data);
      }
      gpu.queue.writeBuffer(this.buffers[place.buffer], place.offset, whole as BufferSource);
    }
    this.waiting.length = 0;
  }

  at({ buffer, offset, size }: Place): GPUBufferBinding {
    return { buffer: this.buffers[buffer], offset, size };
  }
}
