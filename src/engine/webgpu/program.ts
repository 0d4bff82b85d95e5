/** A plan on a device: its buffers and pipelines, and one command buffer for each run. */
import { GraphError, NcnnkitError, UnsupportedError } from "../../base/errors.ts";
import { fp16ToFloat32Array, numberToFp16 } from "../../base/fp16.ts";
import { sieve } from "../../base/sieve.ts";
import { resolveParams } from "../../ir/op.ts";
import { elementCount, type Shape, type Tensor } from "../../ir/tensor.ts";
import {
  numbersTold,
  type Storage,
  shaderFor,
  type Target,
  workgroupsAcross,
} from "../../kernels/webgpu/index.ts";
import { ops } from "../../ops/index.ts";
import type { Looked } from "../backend.ts";
import { floatOf } from "../representations.ts";
import type { ReferenceStep } from "../steps.ts";
import type { Value } from "../values.ts";
import { mapRead, usage } from "./adapter.ts";
import { align, Constants } from "./constants.ts";
import { type Device, lostError, reasonOf } from "./device.ts";
import { type Fetched, fetchedOf, groupBytes, integersOf, partOf } from "./fetched.ts";
import type { PixelTarget } from "./pixels.ts";
import type { Plan, PlanStep } from "./records.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** One dispatch, ready. */
interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  readonly bindings: GPUBindGroup;
  readonly workgroups: number;
}

/** Of newer runtimes. */
const { Float16Array: Halves } = globalThis as {
  Float16Array?: new (data: Float32Array) => { buffer: ArrayBuffer };
};

/** Floats as a device stores them. */
export function stored(data: Float32Array, storage: Storage): Float32Array | Uint16Array {
  if (storage === "f32") return data;
  return Halves ? new Uint16Array(new Halves(data).buffer) : Uint16Array.from(data, (x) => numberToFp16(x));
}

export class Program {
  readonly steps: readonly PlanStep[];
  /** Bytes of the device's memory. */
  readonly memoryBytes: number;
  /** Bytes that a run reads back. */
  readonly fetchedBytes: number;
  readonly device: Device;
  private readonly plan: Plan;
  private readonly storage: Storage;
  private readonly dispatches: readonly (Dispatch | undefined)[];
  private readonly values: GPUBuffer;
  private readonly integers: GPUBuffer;
  private readonly constants: Constants;
  private readonly fetched: readonly Fetched[];
  /** What looks were given, in buffers that are mapped as long as it holds. */
  private readonly lent: { readonly buffer: GPUBuffer; readonly looked: Mutable<Looked> }[] = [];
  /** Buffers to map that no run uses now. */
  private readonly free: GPUBuffer[] = [];
  private readonly all: GPUBuffer[] = [];
  /** Runs with steps in JavaScript in between wait for each other. */
  private last: Promise<unknown> = Promise.resolve();
  private readonly isMixed: boolean;
  private closed = false;
  /** Frees what others made for it. */
  onClose?: () => void;

  private constructor(device: Device, plan: Plan, storage: Storage, parts: Parts) {
    this.device = device;
    this.storage = storage;
    this.dispatches = parts.dispatches;
    this.values = parts.values;
    this.integers = parts.integers;
    this.constants = parts.constants;
    // What was uploaded need not be kept here too.
    this.steps = plan.steps.map(({ call, ...step }) => ({
      ...step,
      ...(call && { call: { spec: call.spec, args: call.args } }),
    }));
    this.plan = { ...plan, steps: this.steps, constants: [] };
    this.fetched = fetchedOf(plan.outputs, storage);
    this.fetchedBytes = this.fetched.reduce((sum, { to, bytes }) => Math.max(sum, to + bytes), 4);
    this.memoryBytes = parts.values.size + parts.integers.size + parts.constants.bytes + this.fetchedBytes;
    device.retain();
    this.isMixed = plan.steps.some(({ reference }) => reference);
  }

  /** Throws UnsupportedError where the device has not that much memory or cannot bind it. */
  static async make(device: Device, plan: Plan, target: Target): Promise<Program> {
    const { gpu } = device;
    const { storage } = target;
    const valueBytes = Math.max(plan.floatGroups * groupBytes[storage], 16);
    const integerBytes = Math.max(plan.byteGroups * 4, 16);
    checkSize(device, "values", valueBytes);
    checkSize(device, "integers", integerBytes);
    const scopes = ["out-of-memory", "validation"] as const;
    for (const scope of scopes) gpu.pushErrorScope(scope);
    const flags = usage.storage | usage.copySource | usage.copyTarget;
    const values = gpu.createBuffer({ size: align(valueBytes, 16), usage: flags });
    const integers = gpu.createBuffer({ size: align(integerBytes, 16), usage: flags });
    const constants = new Constants(device);
    const shared = { device, values, integers, constants };
    const dispatches = plan.steps.map((step) => step.call && prepare(step, target, shared));
    constants.upload();
    for (const { address, data } of plan.constants) {
      if (data instanceof Uint32Array) gpu.queue.writeBuffer(integers, address * 4, data);
      else gpu.queue.writeBuffer(values, address * groupBytes[storage], stored(data, storage));
    }
    // Before anything is awaited: other networks are made meanwhile, and scopes nest.
    const popped = scopes.map(() => gpu.popErrorScope().catch(() => null));
    const ready = await Promise.allSettled(dispatches.map((one) => one?.()));
    const errors = await Promise.all(popped);
    const failed = ready.find((one) => one.status === "rejected");
    const error = errors.find((one) => one !== null);
    if (failed || error) {
      for (const buffer of [values, integers, ...constants.buffers]) buffer.destroy();
      if (failed) throw failed.reason;
      const megabytes = Math.ceil((valueBytes + integerBytes + constants.bytes) / 2 ** 20);
      throw new UnsupportedError(
        `the network needs ${megabytes} MiB on the GPU (${device.name}), which gives no more: ${reasonOf(error)}; make the input smaller or use the wasm backend`,
      );
    }
    const made = ready.map((one) => (one as PromiseFulfilledResult<Dispatch | undefined>).value);
    return new Program(device, plan, storage, { dispatches: made, values, integers, constants });
  }

  /** The outputs for inputs of the program's shapes. Throws NcnnkitError when the device is gone. */
  run(inputs: Record<string, Tensor>): Promise<Record<string, Tensor>> {
    if (this.closed) throw new GraphError("the session is closed");
    if (!this.isMixed) return this.runNow(inputs);
    const run = this.last.then(() => this.runNow(inputs));
    this.last = run.catch(() => {});
    return run;
  }

  private async runNow(inputs: Record<string, Tensor>): Promise<Record<string, Tensor>> {
    this.setInputs(inputs);
    const found = new Map<Value, Shape>();
    let encoder = this.device.gpu.createCommandEncoder();
    let first = 0;
    for (let i = 0; i < this.steps.length; i++) {
      const { reference } = this.steps[i];
      if (!reference) continue;
      this.encode(encoder, first, i);
      await this.runReference(encoder, reference, found);
      encoder = this.device.gpu.createCommandEncoder();
      first = i + 1;
    }
    this.encode(encoder, first, this.steps.length);
    return this.read(encoder, this.fetched, this.fetchedBytes, (bytes) =>
      Object.fromEntries(this.fetched.map((one) => [one.blob, this.outputOf(one, bytes, found)])),
    );
  }

  /**
   * A run whose inputs are what `feed` encodes, and whose outputs are read where the device has put them: `read` gets mapped memory, which is gone, with
   * another `turn`, as soon as the next look begins. Looks may overlap: the device has the next frame while this one is decoded. Not for networks
   * with layers in JavaScript.
   */
  async look<T>(feed: (encoder: GPUCommandEncoder) => void, read: (looked: Looked) => T): Promise<T> {
    if (this.closed) throw new GraphError("the session is closed");
    this.takeBack();
    const start = performance.now();
    const encoder = this.device.gpu.createCommandEncoder();
    feed(encoder);
    const placing = performance.now() - start;
    this.encode(encoder, 0, this.steps.length);
    const buffer = await this.fetch(encoder, this.fetched, this.fetchedBytes);
    const bytes = buffer.getMappedRange(0, align(this.fetchedBytes, 8));
    const blobs = Object.fromEntries(
      this.fetched.map((one) => [one.blob, this.outputOf(one, bytes, new Map(), true)]),
    );
    const running = performance.now() - start - placing;
    const looked = { blobs, turn: 0, milliseconds: { placing, running }, sieve };
    this.lent.push({ buffer, looked });
    return read(looked);
  }

  private takeBack(): void {
    for (const { buffer, looked } of this.lent.splice(0)) {
      looked.turn++;
      buffer.unmap();
      this.free.push(buffer);
    }
  }

  get isAllOnDevice(): boolean {
    return !this.isMixed;
  }

  /** Where the pixels of a blob are to be put, if it is read at all. */
  pixelTarget(blob: string): PixelTarget | undefined {
    const input = this.plan.inputs.get(blob);
    return input && { values: this.values, address: input.address, storage: this.storage };
  }

  /** Steps [first, end) in one pass. */
  private encode(encoder: GPUCommandEncoder, first: number, end: number): void {
    if (first === end) return;
    const pass = encoder.beginComputePass();
    for (let i = first; i < end; i++) this.dispatch(pass, i);
    pass.end();
  }

  private dispatch(pass: GPUComputePassEncoder, i: number): void {
    const { pipeline, bindings, workgroups } = this.dispatches[i]!;
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindings);
    pass.dispatchWorkgroups(Math.min(workgroups, workgroupsAcross), Math.ceil(workgroups / workgroupsAcross));
  }

  private setInputs(inputs: Record<string, Tensor>): void {
    for (const [blob, { address }] of this.plan.inputs) {
      const { data } = inputs[blob];
      if (data instanceof Int8Array) {
        throw new GraphError(`input "${blob}" is int8; inputs are float, layers quantize them by themselves`);
      }
      this.write(address, data);
    }
  }

  /** A dense value; what its last group has beyond the end becomes 0. */
  private write(address: number, data: Float32Array): void {
    let whole = data;
    if (data.length % 4) {
      whole = new Float32Array(align(data.length, 4));
      whole.set(data);
    }
    const bytes = stored(whole, this.storage);
    this.device.gpu.queue.writeBuffer(this.values, address * groupBytes[this.storage], bytes as BufferSource);
  }

  /** Copies parts of the buffers out, submits, and hands the bytes to `use` when they are here. */
  private async read<T>(
    encoder: GPUCommandEncoder,
    parts: readonly Pick<Fetched, "from" | "bytes" | "to" | "int8Scale">[],
    size: number,
    use: (bytes: ArrayBuffer) => T,
  ): Promise<T> {
    const buffer = await this.fetch(encoder, parts, size);
    const result = use(buffer.getMappedRange(0, align(size, 8)));
    buffer.unmap();
    this.free.push(buffer);
    return result;
  }

  /** A buffer with these parts, mapped. */
  private async fetch(
    encoder: GPUCommandEncoder,
    parts: readonly Pick<Fetched, "from" | "bytes" | "to" | "int8Scale">[],
    size: number,
  ): Promise<GPUBuffer> {
    const { gpu } = this.device;
    const buffer = this.stagingOf(size);
    for (const { from, bytes, to, int8Scale } of parts) {
      encoder.copyBufferToBuffer(
        int8Scale === undefined ? this.values : this.integers,
        from,
        buffer,
        to,
        bytes,
      );
    }
    gpu.queue.submit([encoder.finish()]);
    try {
      await buffer.mapAsync(mapRead, 0, align(size, 8));
    } catch (error) {
      if (this.closed) throw new GraphError("the session is closed");
      // That the device is lost is told a little later.
      await new Promise((resolve) => setTimeout(resolve));
      if (this.device.lost !== undefined) throw lostError(this.device);
      throw new NcnnkitError(`inference stopped: the GPU (${this.device.name}): ${reasonOf(error)}`);
    }
    if (this.device.lost !== undefined) throw lostError(this.device);
    return buffer;
  }

  /** A buffer to map: two or more are in turn where runs overlap. */
  private stagingOf(size: number): GPUBuffer {
    const at = this.free.findIndex((buffer) => buffer.size >= size);
    if (at >= 0) return this.free.splice(at, 1)[0];
    const buffer = this.device.gpu.createBuffer({
      size: align(size, 8),
      usage: usage.mapRead | usage.copyTarget,
    });
    this.all.push(buffer);
    return buffer;
  }

  private outputOf(
    { value, shape, int8Scale, to, bytes }: Fetched,
    all: ArrayBuffer,
    found: Map<Value, Shape>,
    lent = false,
  ): Tensor {
    if (int8Scale !== undefined) return { shape, data: integersOf(value, new Int8Array(all, to, bytes)) };
    const actual = found.get(value) ?? shape;
    return {
      shape: actual,
      data: this.floats(all, to, Math.min(elementCount(actual), value.channels), lent),
    };
  }

  /** A copy of mapped floats, or themselves where they are lent. */
  private floats(all: ArrayBuffer, at: number, count: number, lent = false): Float32Array {
    if (this.storage !== "f32") return fp16ToFloat32Array(new Uint16Array(all, at, count));
    const mapped = new Float32Array(all, at, count);
    return lent ? mapped : mapped.slice();
  }

  /** A step in JavaScript: its inputs are read back behind what `encoder` holds, its results uploaded. */
  private async runReference(
    encoder: GPUCommandEncoder,
    step: ReferenceStep,
    found: Map<Value, Shape>,
  ): Promise<void> {
    const op = ops.get(step.node.type)!;
    let to = 0;
    const parts = step.inputs.map(({ value }) => {
      const part = partOf(value, this.storage, to);
      to = part.to + align(part.bytes, 8);
      return part;
    });
    const inputs = await this.read(encoder, parts, Math.max(to, 8), (bytes) =>
      step.inputs.map(({ value, shape }, i) => ({
        shape,
        data: this.floats(bytes, parts[i].to, value.channels),
      })),
    );
    const shapes = step.outputs.map(({ shape }) => shape);
    const results = op.reference(inputs, resolveParams(op, step.node.params), step.node.weights, shapes);
    step.outputs.forEach(({ value }, i) => {
      this.write(floatOf(value).address, results[i].data as Float32Array);
      if (op.dynamicRows) found.set(value, results[i].shape);
    });
  }

  /** Milliseconds of every step, once, by the device's clock; of those in JavaScript by the processor's; on the inputs of the last run. Where the device has no clock that can be read, each
   * step is submitted by itself and waited for. */
  async time(): Promise<Float64Array> {
    const { gpu } = this.device;
    const times = new Float64Array(this.steps.length);
    const most = 2048;
    for (let first = 0; first < this.steps.length; ) {
      const step = this.steps[first];
      if (step.reference) {
        const start = performance.now();
        await this.runReference(gpu.createCommandEncoder(), step.reference, new Map());
        times[first++] = performance.now() - start;
        continue;
      }
      let end = first;
      while (end < this.steps.length && !this.steps[end].reference && end - first < most) end++;
      times.set(
        await (this.device.hasTimestamps ? this.timeSteps(first, end) : this.timeSubmits(first, end)),
        first,
      );
      first = end;
    }
    return times;
  }

  private async timeSubmits(first: number, end: number): Promise<Float64Array> {
    const { gpu } = this.device;
    const times = new Float64Array(end - first);
    for (let i = first; i < end; i++) {
      const start = performance.now();
      const encoder = gpu.createCommandEncoder();
      this.encode(encoder, i, i + 1);
      gpu.queue.submit([encoder.finish()]);
      await gpu.queue.onSubmittedWorkDone();
      times[i - first] = performance.now() - start;
    }
    return times;
  }

  private async timeSteps(first: number, end: number): Promise<Float64Array> {
    const { gpu } = this.device;
    const count = 2 * (end - first);
    const querySet = gpu.createQuerySet({ type: "timestamp", count });
    const ticks = gpu.createBuffer({ size: count * 8, usage: usage.resolve | usage.copySource });
    const staging = gpu.createBuffer({ size: count * 8, usage: usage.mapRead | usage.copyTarget });
    const encoder = gpu.createCommandEncoder();
    for (let i = first; i < end; i++) {
      const at = 2 * (i - first);
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 },
      });
      this.dispatch(pass, i);
      pass.end();
    }
    encoder.resolveQuerySet(querySet, 0, count, ticks, 0);
    encoder.copyBufferToBuffer(ticks, 0, staging, 0, count * 8);
    gpu.queue.submit([encoder.finish()]);
    await staging.mapAsync(mapRead);
    const stamps = new BigUint64Array(staging.getMappedRange());
    const times = Float64Array.from(
      { length: end - first },
      (_, i) => Number(stamps[2 * i + 1] - stamps[2 * i]) / 1e6,
    );
    for (const buffer of [ticks, staging]) buffer.destroy();
    querySet.destroy();
    return times;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** Frees all that it has on the device. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.takeBack();
    this.onClose?.();
    for (const buffer of [this.values, this.integers, ...this.constants.buffers, ...this.all])
      buffer.destroy();
    this.device.release();
  }
}

interface Parts {
  readonly dispatches: readonly (Dispatch | undefined)[];
  readonly values: GPUBuffer;
  readonly integers: GPUBuffer;
  readonly constants: Constants;
}

function checkSize({ gpu, name }: Device, what: string, bytes: number): void {
  const { maxStorageBufferBindingSize: most } = gpu.limits;
  if (bytes <= most) return;
  throw new UnsupportedError(
    `the network needs ${Math.ceil(bytes / 2 ** 20)} MiB for ${what} at this input size, and the GPU (${name}) binds ${Math.floor(most / 2 ** 20)} at most (maxStorageBufferBindingSize); make the input smaller or use the wasm backend`,
  );
}

/** Lays out a step's constants; what is returned makes the rest when they have buffers. */
function prepare(
  { call }: PlanStep,
  target: Target,
  { device, values, integers, constants }: Omit<Parts, "dispatches"> & { readonly device: Device },
): () => Promise<Dispatch> {
  const { spec, args, weights, constants: numbers, table } = call!;
  const { code, workgroups, sizes } = shaderFor(spec, target);
  const told = [0, ...args, ...sizes];
  if (told.length > numbersTold) throw new Error(`${spec.kind}: ${told.length} numbers to tell`);
  const places = [
    constants.add(weights instanceof Float32Array ? stored(weights, target.storage) : weights),
    constants.add(numbers),
    constants.add(table),
    constants.add(Uint32Array.from({ length: numbersTold }, (_, i) => told[i] ?? 0)),
  ];
  return async () => {
    const pipeline = await device.pipeline(code);
    const resources = [
      { buffer: values },
      { buffer: integers },
      ...places.map((place) => constants.at(place)),
    ];
    const entries = resources.map((resource, binding) => ({ binding, resource }));
    const bindings = device.gpu.createBindGroup({ layout: device.layout, entries });
    return { pipeline, bindings, workgroups };
  };
}
