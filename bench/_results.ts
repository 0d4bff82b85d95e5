/** What `zoo.ts` writes, a file a processor, and `chart.ts` draws. */
import type { NetworkTiming } from "../dist/official.js";

/** Engines beside ours, as their times are called in a row. */
export const peerNames = ["native", "onnxruntimeWeb"] as const;
export type PeerName = (typeof peerNames)[number];

/** Milliseconds. `wide`: ours again, with 256-bit vectors. */
export type ZooRow = NetworkTiming & { [name in PeerName | "wide"]?: { min: number; median: number } };

export interface ZooResults {
  environment: Record<string, string | number>;
  rows: ZooRow[];
}
