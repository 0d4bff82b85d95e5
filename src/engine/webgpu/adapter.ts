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

/** Of a browser. */
export const navigatorGpu: GpuSource = () =>
  (globalThis.navigator as (Navigator & { readonly gpu?: GPU }) | undefined)?.gpu;

/** The adapter, or undefined where there is none, whatever the reason. */
export async function findAdapter(source: GpuSource): Promise<GPUAdapter | undefined> {
  try {
    const gpu = await source();
    return (await gpu?.requestAdapter({ powerPreference: "high-performance" })) ?? undefined;
  } catch {
    return undefined;
  }
}

export const noAdapter =
  "no WebGPU adapter here (pages need a browser with WebGPU, Node the package `webgpu` and a Vulkan, Metal or D3D12 driver)";
