/** What `zoo.ts` writes and `chart.ts` draws. */
import type { NetworkTiming } from "../dist/official.js";

/** Engines beside ours, as their times are called in a row. */
export const peerNames = ["native", "onnxruntimeWeb"] as const;
export type PeerName = (typeof peerNames)[number];

/** Milliseconds. */
export type ZooRow = NetworkTiming & { [name in PeerName]?: { min: number; median: number } };

export interface ZooResults {
  environment: Record<string, string | number>;
  rows: ZooRow[];
}
