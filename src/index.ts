/**
 * ncnnkit, safe in a browser: nothing here needs Node. `ncnnkit/node` adds files, folders and pictures; the parts that these are
 * made of are in `ncnnkit/steps`, what the official tools do in `ncnnkit/official`.
 *
 * ```ts
 * import { load } from "ncnnkit";
 * const model = await load("models/yolov5ss.json");
 * const boxes = await model.detect(imageData, { confidence: 0.25 });
 * ```
 */
export {
  FormatError,
  GraphError,
  InputError,
  NcnnkitError,
  UnsupportedError,
  UsageError,
} from "./base/errors.ts";
export { version } from "./base/version.ts";
export type { Budget } from "./deploy/budget.ts";
export type {
  CalibrateOptions,
  CalibrateProgress,
  CalibrationResult,
  CalibrationSource,
} from "./deploy/calibrate.ts";
export { calibrateModel, calibrationSource, type ModelCalibration } from "./deploy/calibration.ts";
export { type Deployment, deploy } from "./deploy/deploy.ts";
export {
  type EvaluateOptions,
  type Evaluation,
  evaluateModels,
  type ModelEvaluation,
} from "./deploy/evaluate.ts";
export type { DeployOptions, DeployPictures } from "./deploy/job.ts";
export type { DeployProgress, DeployStage } from "./deploy/progress.ts";
export { quantizeModel } from "./deploy/quantize.ts";
export type { DetectOptions } from "./detect/detect.ts";
export {
  type Box,
  type ClassifiedPicture,
  type DetectedObject,
  type Detection,
  isObject,
  type ObjectDetection,
  type OrientedObject,
  type Point,
  type PosedObject,
  type SegmentedObject,
} from "./detect/detection.ts";
export { type DrawnShape, type DrawOptions, drawDetections } from "./detect/draw.ts";
export type { InputOptions, Transform } from "./detect/letterbox.ts";
export type { Letterer, Lettering, Letters } from "./detect/lettering.ts";
export type { Mask } from "./detect/mask.ts";
export type { Picture } from "./detect/picture.ts";
export type { RotatedBox } from "./detect/rotated.ts";
export type {
  BackendChoice,
  BackendName as Backend,
  ModuleStore,
  Session,
  SessionOptions,
} from "./engine/session.ts";
export type { CompiledSource } from "./engine/standalone.ts";
export type { Accuracy, TopResult } from "./evaluate/accuracy.ts";
export type { Change } from "./evaluate/bootstrap.ts";
export type { ClassResult, CocoResult, DotaResult } from "./evaluate/coco-ap.ts";
export type { Fidelity, ScoreChange, ScorePair, SizeClass } from "./evaluate/fidelity.ts";
export type { TrackRow } from "./evaluate/mot-text.ts";
export type { DetectionRow, GroundTruth, ImageId, TruePoint } from "./evaluate/rows.ts";
export type { ClearMot, Hota, HotaName, IdentityMeasures } from "./evaluate/track-measures.ts";
export type { TrackRules } from "./evaluate/track-sequence.ts";
export type { TrackEvaluation, TrackedSequence, TrackMeasures } from "./evaluate/tracks.ts";
export type {
  CompiledDetection,
  CompiledFacts,
  CompiledMode,
  CompiledSize,
  CompiledTensor,
} from "./formats/compiled.ts";
export type { CalibrationTable } from "./formats/table.ts";
export type * from "./heads/manifest.ts";
export type { Graph, Node, SplitSpelling } from "./ir/graph.ts";
export type { Params, ParamValue } from "./ir/op.ts";
export type { Frame } from "./ir/pixels.ts";
export { type Shape, type Tensor, tensor } from "./ir/tensor.ts";
export type { Weight, Weights } from "./ir/weight.ts";
export { type BenchmarkOptions, type BenchmarkResult, benchmark, type Timing } from "./open/benchmark.ts";
export { type ConvertedModel, type ConvertOptions, convert, modelFiles } from "./open/convert.ts";
export { type ExportOptions, exportModel } from "./open/export.ts";
export type { KnownFacts } from "./open/facts.ts";
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
export type { LookOptions, Model, ModelDetectOptions, PictureLook } from "./open/model.ts";
export { type RegistryEntry, type RegistryFile, registry } from "./open/registry.ts";
export type { DownloadProgress, Folder, NamedBytes } from "./open/source.ts";
export { type GraphSummary, type LayerSummary, summarize } from "./open/summary.ts";
export type {
  Corrections,
  Importance,
  LayerRange,
  LayerReport,
  Method,
  QuantizeOptions,
} from "./quantize/index.ts";
export type * from "./report/data.ts";
export type { Milliseconds } from "./tally/detections.ts";
export { type EvaluationEntry, type EvaluationItem, readEntries } from "./tally/pictures.ts";
export { type CountEvent, type Counter, type CountTotals, createCounter } from "./track/counter.ts";
export type { Counting, CountingLine, CountingRegion, CountingRules } from "./track/counting.ts";
export type { MotionGate, MotionOptions } from "./track/motion.ts";
export type { Track, TrackState } from "./track/track.ts";
export {
  createTracker,
  type FrameTracks,
  type Tracker,
  type TrackerOptions,
  type TrackMethod,
} from "./track/tracker.ts";
export { type DotMode, type Features, features, type MaddMode } from "./wasm/features.ts";
