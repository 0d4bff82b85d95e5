/** In the worker: networks of ncnn's benchmark, timed in this browser. */
import { benchmarkNetwork, benchmarkNetworks } from "../src/official.ts";
import type { Calls } from "./protocol.ts";

/** One after the other; what cannot run here says why, and the next one goes on. */
export async function timeNetworks(
  { names, ...options }: Calls["benchmark"]["request"],
  progress: (value: Calls["benchmark"]["progress"]) => void,
): Promise<undefined> {
  for (const name of names) {
    const network = benchmarkNetworks.find((each) => each.name === name);
    if (!network) continue;
    progress({ name });
    try {
      progress({ name, timing: await benchmarkNetwork(network, options) });
    } catch (error) {
      progress({ name, problem: error instanceof Error ? error.message : String(error) });
    }
  }
  return undefined;
}
