/**
 * What ncnn's official tools do, as functions, safe in a browser: ncnnoptimize, ncnn2table, ncnn2int8, ncnn2mem, ncnnmerge, benchncnn.
 *
 * ```ts
 * import { benchmarkNetwork, benchmarkNetworks } from "ncnnkit/official";
 * const { median } = await benchmarkNetwork(benchmarkNetworks[0], { loops: 8 });
 * ```
 */
export {
  type BenchmarkNetwork,
  benchmarkNetwork,
  benchmarkNetworks,
  type NetworkBenchmarkOptions,
  type NetworkTiming,
  networkFiles,
  networkFromParam,
} from "./official/benchncnn.ts";
export { type Ncnn2int8Options, ncnn2int8 } from "./official/ncnn2int8.ts";
export { type MemoryFiles, type MemoryNames, memoryFiles } from "./official/ncnn2mem.ts";
export {
  checkTableSettings,
  ncnn2table,
  parseTableSettings,
  type TableFiles,
  type TableSettings,
  type TableSettingsOptions,
  weightOnlyLines,
} from "./official/ncnn2table.ts";
export { mergeModels } from "./official/ncnnmerge.ts";
export { type NcnnoptimizeOptions, ncnnoptimize } from "./official/ncnnoptimize.ts";
export { inventWeights } from "./official/random-weights.ts";
export {
  pixelChannels,
  readNpy,
  type TableInput,
  type TablePixel,
  tablePixels,
  tableTensor,
} from "./official/table-inputs.ts";
