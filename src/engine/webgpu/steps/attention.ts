import { floatOf } from "../../representations.ts";
import type { AttentionStep } from "../../steps.ts";
import { type StepKind, trafficOf } from "./kind.ts";

export const attention: StepKind<AttentionStep> = {
  kind: "attention",
  quantizes: false,
  needs: ({ query, key, value }, read) => {
    for (const input of [query, key, value]) read.float(input);
  },
  plan: ({ kind, nodes, heads, query, key, value, output }) => {
    const all = [query, key, value, output].map(floatOf);
    const [queries, keys] = [query.height, key.height];
    return {
      kind,
      nodes,
      label: `attention ${heads} heads ${queries}x${keys}`,
      macs: 2 * queries * keys * query.channels,
      traffic: all.map(trafficOf),
      call: {
        spec: { kind, heads, queries, keys, width: query.channels / heads / 4 },
        args: all.map(({ address }) => address),
      },
    };
  },
};
