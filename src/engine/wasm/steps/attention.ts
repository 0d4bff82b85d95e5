import { type AttentionSpec, attentionScratchBytes, emitAttention } from "../../../kernels/wasm/index.ts";
import { floatOf, origin } from "../../representations.ts";
import type { AttentionStep } from "../../steps.ts";
import type { StepKind } from "./kind.ts";

export const attention: StepKind<AttentionStep, AttentionSpec> = {
  kind: "attention",
  quantizes: false,
  needs: ({ query, key, value }, read) => {
    for (const input of [query, key, value]) read.float(input);
  },
  plan: ({ kind, nodes, heads, query, key, value, output }, { needScratch }) => {
    needScratch(attentionScratchBytes(key.height));
    const [q, k, v, out] = [query, key, value, output].map(floatOf);
    const [queries, keys] = [query.height, key.height];
    const spec: AttentionSpec = {
      kind,
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
      kind,
      nodes,
      label: `attention ${heads} heads ${queries}x${keys}`,
      macs: 2 * queries * keys * query.channels,
      bytes: q.byteLength + k.byteLength + v.byteLength + out.byteLength,
      calls: [{ spec, args, total: heads * queries, unit: 1 }],
    };
  },
  emit: emitAttention,
};
