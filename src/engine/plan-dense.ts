/** Kernel calls of the steps that `lower-dense.ts` makes. */
import type { AttentionSpec, LayerNormSpec, LrnSpec, StridedCopySpec } from "../kernels/wasm/index.ts";
import type { StaticData } from "./memory.ts";
import { packEpilogue } from "./pack.ts";
import { epilogueOf, floatOf, origin, type PlanStep, writeBytes } from "./plan.ts";
import type { AttentionStep, JoinStep, LayerNormStep, LrnStep } from "./steps.ts";

type Four = readonly [number, number, number, number];

function leftPadded(values: readonly number[], fill: number): Four {
  return [...new Array<number>(4 - values.length).fill(fill), ...values] as unknown as Four;
}

export function planJoin({ nodes, parts, output }: JoinStep): PlanStep {
  const calls = parts.map(({ view, at }) => {
    const shape = leftPadded(view.shape, 1);
    const spec: StridedCopySpec = { kind: "stridedCopy", shape, strides: leftPadded(view.strides, 0) };
    const args = [origin(floatOf(view.value)) + view.offset * 4, origin(floatOf(output)) + at * 4];
    return { spec, args, total: shape[0] * shape[1], unit: 1 };
  });
  const label = `join ${parts.length} to ${output.channels}`;
  return { nodes, label, macs: 0, bytes: 2 * writeBytes(output), calls };
}

/** What LayerNorm and LRN have in common. */
function planNormalized(
  data: StaticData,
  { nodes, input, fused, output }: LayerNormStep | LrnStep,
  what: { kind: "layerNorm"; eps: number } | Pick<LrnSpec, "kind" | "size" | "factor" | "bias">,
  second: number | "scratch",
): PlanStep {
  const source = floatOf(input);
  const epilogue = epilogueOf(fused, output.representations, "none");
  const spec: LayerNormSpec | LrnSpec = {
    ...what,
    rows: output.height,
    width: output.width,
    channels: output.channels,
    pixelBytes: source.pixelBytes,
    rowBytes: source.rowBytes,
    epilogue,
  };
  const constants = packEpilogue(data, epilogue, output, {});
  const args = [origin(source), second, constants, ...output.representations.map(origin)];
  return {
    nodes,
    label: `${what.kind} ${output.channels} ${output.width}x${output.height}`,
    macs: 0,
    bytes: source.byteLength + writeBytes(output),
    calls: [{ spec, args, total: output.height, unit: 1 }],
  };
}

export function planLayerNorm(data: StaticData, step: LayerNormStep): PlanStep {
  const { gamma, beta, eps } = step;
  const affine = new Float32Array(2 * gamma.length);
  for (let i = 0; i < gamma.length; i += 4) {
    affine.set(gamma.subarray(i, i + 4), 2 * i);
    affine.set(beta.subarray(i, i + 4), 2 * i + 4);
  }
  return planNormalized(data, step, { kind: "layerNorm", eps }, data.add(affine));
}

export function planLrn(data: StaticData, step: LrnStep): PlanStep {
  const { size, factor, bias } = step;
  return planNormalized(data, step, { kind: "lrn", size, factor, bias }, "scratch");
}

export function planAttention({ nodes, heads, query, key, value, output }: AttentionStep): PlanStep {
  const [q, k, v, out] = [query, key, value, output].map(floatOf);
  const [queries, keys] = [query.height, key.height];
  const spec: AttentionSpec = {
    kind: "attention",
    queries,
    keys,
    width: query.channels / heads,
    qBytes: q.pixelBytes,
    kBytes: k.pixelBytes,
    vBytes: v.pixelBytes,
    outBytes: out.pixelBytes,
  };
  const args = [origin(q), origin(k), origin(v), "scratch" as const, origin(out)];
  return {
    nodes,
    label: `attention ${heads} heads ${queries}x${keys}`,
    macs: 2 * queries * keys * query.channels,
    bytes: q.byteLength + k.byteLength + v.byteLength + out.byteLength,
    calls: [{ spec, args, total: heads * queries, unit: 1 }],
  };
}
