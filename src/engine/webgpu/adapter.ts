/** Where WebGPU comes from. Small: it is asked before anything of the backend is loaded. */

/** WebGPU's flags, by their numbers: not every runtime has the globals. */
export const usage = {
  mapRead: 1,
  copySource: 4,
  copyTarget: 8,
  uniform: 64,
  storage: 128,
  resolve: 512,
} as const;
export const mapRead = 1;

/** The entry to WebGPU, or nothing where there is none. */
export type GpuSource = () => Promise<GPU | undefined> | GPU | undefined;

const navigatorGpu: GpuSource = () =>
  (globalThis.navigator as (Navigator & { readonly gpu?: GPU }) | undefined)?.gpu;

let source = navigatorGpu;

/**
 * Says where WebGPU comes from in a runtime without `navigator.gpu`, for all models from now on; `ncnnkit/node` does that with the package
 * `webgpu`, where it is installed.
 */
export function provideGpu(other: GpuSource): void {
  source = () => navigatorGpu() ?? other();
}

export const entry: GpuSource = () => source();

/** The adapter, or undefined where there is none, whatever the reason. */
export async function findAdapter(): Promise<GPUAdapter | undefined> {
  try {
    const gpu = await source();
    return (await gpu?.requestAdapter({ powerPreference: "high-performance" })) ?? undefined;
  } catch {
    return undefined;
  }
}

export const noAdapter =
  "no WebGPU adapter here (pages need a browser with WebGPU, Node the package `webgpu` and a Vulkan, Metal or D3D12 driver)";

/** Computes on the processor, as it says of itself; browsers without a graphics card have such ones. */
export function isSoftware(adapter: Pick<GPUAdapter, "info">): boolean {
  const known = /swiftshader|llvmpipe|lavapipe|software|warp|basic render/i;
  return adapter.info.isFallbackAdapter || known.test(nameOf(adapter));
}

/** Its maker and kind, for people and as a key. */
export function nameOf({
  info: { vendor, architecture, device, description },
}: Pick<GPUAdapter, "info">): string {
  return [vendor, architecture, device, description].filter((part) => part).join(" ");
}
