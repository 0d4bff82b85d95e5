/** The device that all networks of a process share, as long as one of them is open. */
import { NcnnkitError, UnsupportedError } from "../../base/errors.ts";
import type { Target } from "../../kernels/webgpu/index.ts";
import { entry, findAdapter, isSoftware, nameOf, noAdapter } from "./adapter.ts";
import { probe } from "./probe.ts";

/** Features that are used where there are any. */
const wantedFeatures = ["shader-f16", "timestamp-query", "subgroups"] as const;
/** Limits that are raised to what the adapter has. */
const wantedLimits = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
] as const;

/** A device and what is known of it. */
export interface Device {
  readonly gpu: GPUDevice;
  /** Its maker and kind, for people and as a key. */
  readonly name: string;
  readonly probed: Omit<Target, "storage">;
  /** Its shaders have float16. */
  readonly hasHalf: boolean;
  readonly hasTimestamps: boolean;
  readonly layout: GPUBindGroupLayout;
  /** Pipelines by their text. */
  pipeline(code: string): Promise<GPUComputePipeline>;
  /** Why it is no longer there. */
  readonly lost: string | undefined;
  /** Computes on the processor. */
  readonly isSoftware: boolean;
  /** One more, or one less, that uses it; with the last the device goes. */
  retain(): void;
  release(): void;
}

let shared: Promise<SharedDevice> | undefined;

/** The shared device, made where there is none or the last one is lost. Throws UnsupportedError where none can be had. */
export async function acquireDevice(): Promise<Device> {
  const known = await shared?.catch(() => undefined);
  if (!known || known.lost !== undefined) {
    // Whoever was here first has begun already.
    const making = SharedDevice.make();
    shared = making;
    making.catch(() => {
      if (shared === making) shared = undefined;
    });
  }
  const device = await shared!;
  device.users++;
  return device;
}

class SharedDevice implements Device {
  users = 0;
  lost: string | undefined;
  readonly gpu: GPUDevice;
  readonly name: string;
  readonly isSoftware: boolean;
  readonly layout: GPUBindGroupLayout;
  probed: Omit<Target, "storage"> = { fusedMadd: false, dot: false, subgroups: false, dearBarriers: false };
  private readonly pipelines = new Map<string, Promise<GPUComputePipeline>>();

  private constructor(gpu: GPUDevice, adapter: GPUAdapter) {
    this.gpu = gpu;
    this.name = nameOf(adapter);
    this.isSoftware = isSoftware(adapter);
    const visibility = 4;
    const types = [
      "storage",
      "storage",
      "read-only-storage",
      "read-only-storage",
      "read-only-storage",
      "uniform",
    ];
    this.layout = gpu.createBindGroupLayout({
      entries: types.map((type, binding) => ({
        binding,
        visibility,
        buffer: { type: type as GPUBufferBindingType },
      })),
    });
    void gpu.lost.then(({ reason, message }) => {
      this.lost = `${reason === "destroyed" ? "it was closed" : "the device is lost"}${message ? `: ${message}` : ""}`;
    });
  }

  static async make(): Promise<SharedDevice> {
    const adapter = await findAdapter();
    if (!adapter) throw new UnsupportedError(`${noAdapter}; use the wasm backend`);
    let gpu: GPUDevice;
    try {
      gpu = await adapter.requestDevice({
        requiredFeatures: wantedFeatures.filter((feature) => adapter.features.has(feature)),
        requiredLimits: Object.fromEntries(wantedLimits.map((limit) => [limit, adapter.limits[limit]])),
      });
    } catch (error) {
      throw new UnsupportedError(
        `the GPU (${nameOf(adapter)}) gives no device: ${reasonOf(error)}; use the wasm backend`,
      );
    }
    const made = new SharedDevice(gpu, adapter);
    const language = (await entry())?.wgslLanguageFeatures as ReadonlySet<string> | undefined;
    made.probed = await probe(made, language ?? new Set());
    return made;
  }

  get hasHalf(): boolean {
    return this.gpu.features.has("shader-f16");
  }
  get hasTimestamps(): boolean {
    return this.gpu.features.has("timestamp-query");
  }

  pipeline(code: string): Promise<GPUComputePipeline> {
    const known = this.pipelines.get(code);
    if (known) return known;
    const made = this.makePipeline(code);
    this.pipelines.set(code, made);
    return made;
  }

  private async makePipeline(code: string): Promise<GPUComputePipeline> {
    const module = this.gpu.createShaderModule({ code });
    const layout = this.gpu.createPipelineLayout({ bindGroupLayouts: [this.layout] });
    try {
      return await this.gpu.createComputePipelineAsync({ layout, compute: { module, entryPoint: "main" } });
    } catch (error) {
      if (this.lost !== undefined) throw lostError(this);
      const { messages } = await module.getCompilationInfo();
      const first = messages.find(({ type }) => type === "error");
      throw new NcnnkitError(
        `the GPU (${this.name}) takes no shader of this network: ${first ? `line ${first.lineNum}: ${first.message}` : reasonOf(error)}; use the wasm backend`,
      );
    }
  }

  retain(): void {
    this.users++;
  }

  release(): void {
    this.users--;
    if (this.users > 0) return;
    this.lost ??= "it was closed";
    this.gpu.destroy();
  }
}

export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0];
}

export function lostError({ name, lost }: Pick<Device, "name" | "lost">): NcnnkitError {
  return new NcnnkitError(
    `inference stopped: the GPU (${name}) is gone: ${lost}; run again for a new device`,
  );
}
