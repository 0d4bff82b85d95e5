/** What a device does with numbers: tried once, since neither names nor features say it. */
import { probeShader, type Target } from "../../kernels/webgpu/index.ts";
import { mapRead, usage } from "./adapter.ts";

interface Probed {
  readonly gpu: GPUDevice;
  readonly isSoftware: boolean;
  readonly layout: GPUBindGroupLayout;
  pipeline(code: string): Promise<GPUComputePipeline>;
}

/** (1 + 2⁻¹²)² − (1 + 2⁻¹¹) is 2⁻²⁴ where the product is not rounded by itself, 0 where it is. */
const factor = 1 + 2 ** -12;
const operands = Float32Array.of(factor, factor, -(1 + 2 ** -11), 0);

export async function probe(device: Probed, language: ReadonlySet<string>): Promise<Omit<Target, "storage">> {
  const { gpu, layout, isSoftware } = device;
  const pipeline = await device.pipeline(probeShader().code);
  const all = usage.storage | usage.uniform | usage.copySource | usage.copyTarget;
  const buffers = Array.from({ length: 6 }, () => gpu.createBuffer({ size: 512, usage: all }));
  const staging = gpu.createBuffer({ size: 16, usage: usage.mapRead | usage.copyTarget });
  gpu.queue.writeBuffer(buffers[0], 0, operands);
  const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, gpu.createBindGroup({ layout, entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(buffers[0], 16, staging, 0, 16);
  gpu.queue.submit([encoder.finish()]);
  await staging.mapAsync(mapRead);
  const [found] = new Float32Array(staging.getMappedRange());
  for (const buffer of [...buffers, staging]) buffer.destroy();
  return {
    fusedMadd: found === 2 ** -24,
    dot: language.has("packed_4x8_integer_dot_product"),
    subgroups: gpu.features.has("subgroups"),
    dearBarriers: isSoftware,
  };
}
