/**
 * ncnnkit, safe in a browser: nothing here needs Node. `ncnnkit/node` adds files, folders and pictures.
 *
 * ```ts
 * import { load } from "ncnnkit";
 * const model = await load("models/yolov5ss.json");
 * const boxes = await model.detect(imageData, { confidence: 0.25 });
 * ```
 */
export * from "./base/errors.ts";
export { version } from "./base/version.ts";
export { type Budget, type BudgetInput, type BudgetResult, keepWithinBudget } from "./deploy/budget.ts";
export {
  type CalibratedNote,
  calibratedModel,
  calibrateModel,
  calibrationSource,
  graphDigest,
  isCorrected,
  type ModelCalibration,
} from "./deploy/calibration.ts";
export { type Deployment, deploy } from "./deploy/deploy.ts";
export {
  type EvaluateOptions,
  type Evaluation,
  type EvaluationEntry,
  type EvaluationItem,
  evaluateModels,
  inputDifferences,
  type Milliseconds,
  type ModelEvaluation,
  readEntries,
} from "./deploy/evaluate.ts";
export { detectionImportance } from "./deploy/importance.ts";
export type { DeployOptions, DeployPictures } from "./deploy/job.ts";
export { type DeployProgress, type DeployStage, stageTitles } from "./deploy/progress.ts";
export { quantizeModel, withoutVectorConvolutions } from "./deploy/quantize.ts";
export { type Box, type Detection, type DetectOptions, postprocess } from "./detect/detect.ts";
export { classColor, type DrawOptions, drawDetections } from "./detect/draw.ts";
export { type InputOptions, type Transform, toTensor } from "./detect/letterbox.ts";
export type { Picture } from "./detect/picture.ts";
export { type CocoRow, cocoRows, distinctNames, imageId, sameName, yoloText } from "./detect/save.ts";
export {
  type BackendName as Backend,
  backendNames,
  type Profile,
  type Session,
  type SessionOptions,
  type StepProfile,
} from "./engine/session.ts";
export type {
  ClassResult,
  CocoResult,
  DetectionRow,
  GroundTruth,
  ImageId,
} from "./evaluate/coco-ap.ts";
export {
  type CocoImage,
  type CocoInstances,
  matchCategories,
  parseCocoInstances,
  parseYoloLabels,
  type YoloLabelOptions,
} from "./evaluate/dataset.ts";
export { type DatasetYaml, parseDatasetYaml } from "./evaluate/dataset-yaml.ts";
export type { Fidelity, ScoreChange, ScorePair, SizeClass } from "./evaluate/fidelity.ts";
export { printParam, readNcnn, writeWeights } from "./formats/ncnn/index.ts";
export { type CalibrationTable, parseTable, printedScales, printTable } from "./formats/table.ts";
export type { Graph, Node } from "./ir/graph.ts";
export type * from "./ir/manifest.ts";
export { formatShape, type Shape, type Tensor, tensor } from "./ir/tensor.ts";
export type { Weight, Weights } from "./ir/weight.ts";
export {
  type BenchmarkNetwork,
  benchmarkNetwork,
  benchmarkNetworks,
  type NetworkBenchmarkOptions,
  type NetworkTiming,
  networkFiles,
  networkFromParam,
} from "./official/benchncnn.ts";
export { type MemoryFiles, type MemoryNames, memoryFiles } from "./official/ncnn2mem.ts";
export {
  pixelChannels,
  readNpy,
  type TableInput,
  type TablePixel,
  tablePixels,
  tableTensor,
  weightOnlyLines,
} from "./official/ncnn2table.ts";
export { mergeModels } from "./official/ncnnmerge.ts";
export { type NcnnoptimizeOptions, ncnnoptimize } from "./official/ncnnoptimize.ts";
export { inventWeights } from "./official/random-weights.ts";
export { hasOwnLabels, type KnownFacts } from "./open/assume.ts";
export {
  type BenchmarkOptions,
  type BenchmarkResult,
  benchmark,
  planText,
  profile,
  randomInputs,
  type Timing,
} from "./open/benchmark.ts";
export { cocoLabels } from "./open/coco-labels.ts";
export { type BlobComparison, compareModels } from "./open/compare.ts";
export { type ConvertedModel, type ConvertOptions, convert, modelFiles } from "./open/convert.ts";
export {
  type ExportOptions,
  exportModel,
  type SimplifiedModel,
  type SimplifyModelOptions,
  simplifyModel,
} from "./open/export.ts";
export type { OpenedModel, OpenOptions } from "./open/format.ts";
export {
  type FetchOptions,
  type FileLike,
  type LoadOptions,
  load,
  type ModelParts,
  type ModelSource,
  open,
} from "./open/load.ts";
export { Model, type ModelDetectOptions, requireHeads } from "./open/model.ts";
export {
  type RegistryEntry,
  type RegistryFile,
  registry,
  registryEntry,
  requireEntry,
} from "./open/registry.ts";
export type { DownloadProgress, Folder, NamedBytes } from "./open/source.ts";
export { type GraphSummary, type LayerSummary, summarize } from "./open/summary.ts";
export {
  type CalibrateOptions,
  type CalibrateProgress,
  type CalibrationResult,
  type CalibrationSource,
  type LayerReport,
  type Method,
  mergeObservations,
  methods,
  type Observations,
  observeSource,
  type PartialCalibration,
  quantizableLayers,
  quantizeGraph,
  readPartial,
  writePartial,
} from "./quantize/index.ts";
export type * from "./report/data.ts";
export { renderReport } from "./report/report.ts";
export { type Features, features } from "./wasm/features.ts";
