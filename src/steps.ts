/**
 * The parts that `ncnnkit` is made of, safe in a browser: formats, tensors, detections as files, calibration in pieces, profiles.
 * For programs that put them together in their own way; they change more often than the front door.
 *
 * ```ts
 * import { parseTable, quantizeGraph, readNcnn } from "ncnnkit/steps";
 * const int8 = quantizeGraph(readNcnn(param, bin), parseTable(tableText));
 * ```
 */
export { inContext, withContext } from "./base/errors.ts";
export {
  type CompiledModel,
  type CompileOptions,
  type CompileTarget,
  compileModel,
  compileTargets,
} from "./compile/index.ts";
export { type BudgetInput, type BudgetResult, keepWithinBudget } from "./deploy/budget.ts";
export { observeSource } from "./deploy/calibrate.ts";
export { type CalibratedModel, calibratedFiles, openCalibrated } from "./deploy/calibrated.ts";
export { type BlobComparison, compareModels } from "./deploy/compare.ts";
export { Guard, type GuardOptions, guardEntries } from "./deploy/guard.ts";
export { mergePartials, partialNote } from "./deploy/partial.ts";
export { stageTitles } from "./deploy/progress.ts";
export {
  checkCalibration,
  type Judgement,
  judge,
  type ProtectInput,
  type Protection,
  protect,
} from "./deploy/protect.ts";
export { classColor, distinctColors, readableOn } from "./detect/colors.ts";
export { postprocess } from "./detect/detect.ts";
export { scaledDetection } from "./detect/detection.ts";
export { detectionJson } from "./detect/detection-json.ts";
export { drawInto, lettered } from "./detect/draw.ts";
export { toTensor } from "./detect/letterbox.ts";
export { bitmapLettering } from "./detect/lettering.ts";
export { maskArea, maskBounds, maskIou, maskOutlines, maskToBitmap } from "./detect/mask.ts";
export { placePlates, type WantedPlate } from "./detect/plates.ts";
export { cornersOf } from "./detect/rotated.ts";
export {
  type CocoRow,
  cocoRows,
  distinctNames,
  dotaTexts,
  imageId,
  maskText,
  sameName,
  yoloText,
} from "./detect/save.ts";
export { leastShown, limbsOf } from "./detect/skeleton.ts";
export {
  backendChoices,
  backendNames,
  enableWideVectors,
  type Profile,
  provideGpu,
  type StepProfile,
  wideVectorsEnabled,
} from "./engine/session.ts";
export {
  type CocoImage,
  type CocoInstances,
  type CocoTruth,
  cocoObject,
  matchCategories,
  parseCocoInstances,
} from "./evaluate/dataset.ts";
export { type DatasetYaml, parseDatasetYaml } from "./evaluate/dataset-yaml.ts";
export { parseTracks, tracksText } from "./evaluate/mot-text.ts";
export { type Measure, usualSigmas } from "./evaluate/similarity.ts";
export { trackRules } from "./evaluate/track-sequence.ts";
export { evaluateTracks } from "./evaluate/tracks.ts";
export { parseYoloLabels, type YoloLabelOptions } from "./evaluate/yolo-labels.ts";
export { printParam, readNcnn, writeWeights } from "./formats/ncnn/index.ts";
export type { Dim } from "./formats/onnx/model.ts";
export { parseTable, printedScales, printTable } from "./formats/table.ts";
export { describeFamily, type FamilyName, familyNames } from "./heads/families.ts";
export { blobsOf, describeHead, pointCountOf, taskOf } from "./heads/index.ts";
export { describeResize, inputDifferences } from "./heads/input.ts";
export type { Blobs } from "./ir/tensor.ts";
export { formatShape } from "./ir/tensor.ts";
export { hasOwnLabels } from "./open/assume.ts";
export { planText, profile, randomInputs } from "./open/benchmark.ts";
export { cocoLabels } from "./open/coco-labels.ts";
export { type SimplifiedModel, type SimplifyModelOptions, simplifyModel } from "./open/export.ts";
export { Model, type ModelDetectOptions, requireHeads } from "./open/model.ts";
export { type ModuleDatabaseOptions, moduleDatabase } from "./open/module-database.ts";
export { registryEntry, requireEntry } from "./open/registry.ts";
export {
  type BlobObservation,
  type Corrections,
  type Effort,
  efforts,
  mergeObservations,
  methods,
  type Observations,
  type PartialCalibration,
  type QuantizableLayer,
  quantizableLayers,
  quantizeGraph,
  readPartial,
  writePartial,
} from "./quantize/index.ts";
export type { RewriteOptions } from "./quantize/rewrite.ts";
export { renderReport } from "./report/report.ts";
export { detectionFocus, detectionImportance } from "./tally/importance.ts";
export { measureOf } from "./tally/measure.ts";
export type { Runner } from "./tally/run.ts";
export { parseCounting, placesOf } from "./track/counting.ts";
export { createMotionGate } from "./track/motion.ts";
export { trackMethods } from "./track/tracker.ts";
