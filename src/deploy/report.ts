/** What the report page shows of a finished job. */
import { counted } from "../base/text.ts";
import { version } from "../base/version.ts";
import { describeResize } from "../heads/input.ts";
import type { Manifest, QuantizationRecord } from "../heads/manifest.ts";
import type { ReportData, ReportLayer, ReportVariant } from "../report/data.ts";
import type { ModelCalibration } from "./calibration.ts";
import type { BlobComparison } from "./compare.ts";
import type { Evaluation } from "./evaluate.ts";
import type { Job } from "./job.ts";

/** `bytes` of `.param` and `.bin` of each model. */
export function reportData(job: Job, bytes: readonly number[]): ReportData {
  const { machine = "this machine", threads = 1, date = new Date() } = job.options;
  const { measured, calibrated, int8 } = job;
  const names = ["fp32", "fp16", "int8"];
  return {
    name: job.name,
    date: `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`,
    tool: `ncnnkit ${version}`,
    size: job.size,
    measuredOn: job.measuredOn(measured.images),
    ...{ task: measured.task, images: measured.images },
    objects: measured.objects,
    calibration: { method: calibrated.method, images: calibrated.images },
    machine: `${machine}, ${counted(threads, "thread")}`,
    variants: measured.models.map((model, i) => variantOf(names[i], model, job.times[i], bytes[i])),
    pairs: (measured.models[2].fidelity?.pairs ?? []).map(({ size, reference, candidate }) => ({
      ...{ size, reference, candidate },
    })),
    guard: job.guard,
    layers: layerRows(calibrated, int8.manifest.quantization, job.layers),
    examples: job.examples,
    provenance: provenanceRows(int8.manifest, calibrated),
    assumptions: job.assumptions,
    notes: [
      ...job.notes,
      ...(hasSeenNothing(measured)
        ? [
            `The float network finds nothing on ${counted(measured.images, "picture")} that it was compared on, so what int8 loses is not known: give pictures that show what it is for.`,
          ]
        : []),
      ...(job.skipped.size ? [`${counted(job.skipped.size, "picture")} could not be read.`] : []),
      ...(job.damaged.size
        ? [`${counted(job.damaged.size, "picture")} damaged, read as far as possible.`]
        : []),
    ],
  };
}

/** Whether nothing was there to compare, which is no good fidelity and no bad one. */
const hasSeenNothing = ({ models }: Evaluation): boolean =>
  models.slice(1).some(({ fidelity }) => fidelity !== undefined && fidelity.fidelity < 0);

function variantOf(
  name: string,
  { coco, boxes, dota, top, apChange, fidelity }: Evaluation["models"][number],
  milliseconds: number,
  bytes: number,
): ReportVariant {
  return {
    ...{ name, milliseconds, bytes },
    coco: coco && {
      ...{ AP: coco.AP, AP50: coco.AP50, AP75: coco.AP75, AR: coco.AR },
      ...{ APs: coco.APs, APm: coco.APm, APl: coco.APl },
    },
    ...(boxes && { boxes: boxes.AP }),
    ...(dota && { dota: dota.AP }),
    ...(top && { top: { top1: top.top1, top5: top.top5 } }),
    ...(apChange && { apChange: { low: apChange.low, high: apChange.high } }),
    fidelity: fidelity?.fidelity,
    scoreChange: fidelity && {
      ...{ all: fidelity.all, small: fidelity.small, medium: fidelity.medium, large: fidelity.large },
    },
  };
}

function layerRows(
  { layers, graph }: ModelCalibration,
  record: QuantizationRecord,
  rows: readonly BlobComparison[],
): ReportLayer[] {
  const byNode = new Map(rows.map((row) => [row.node, row]));
  const kept = new Map(record.keptFloat.map(({ name, reason }) => [name, reason]));
  const order = new Map(graph.nodes.map((node, i) => [node.name, i]));
  return layers
    .toSorted((a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0))
    .map(({ name, type, min, max, threshold, clipped, histogram }) => ({
      ...{ name, type, clipped, histogram },
      threshold: Number.isFinite(threshold) ? threshold : 0,
      keptFloat: kept.get(name),
      sqnr: byNode.get(name)?.sqnr,
      cosine: byNode.get(name)?.cosine,
      absmax: Math.max(Math.abs(min), Math.abs(max)),
    }));
}

function provenanceRows(
  { provenance, input, param, bin, quantization }: Manifest & { quantization: QuantizationRecord },
  { method, images }: ModelCalibration,
): [string, string][] {
  const list = (values: readonly number[]): string =>
    new Set(values).size === 1
      ? String(Number(values[0].toPrecision(6)))
      : values.map((v) => Number(v.toPrecision(6))).join(", ");
  const int8 = Object.keys(quantization.layers).length;
  return [
    ["source", provenance.source ?? "not recorded"],
    ["SHA-256 of the source", provenance.sha256 ?? "not recorded"],
    [
      "input",
      `${input.width}×${input.height}, ${input.pixel}, (level − ${list(input.mean)}) · ${list(input.norm)}, ${describeResize(input)}`,
    ],
    ["calibration", `${method}, ${counted(images, "picture")}`],
    ["quantized", `${int8} layers, ${quantization.keptFloat.length} kept float`],
    ["rewrites", provenance.passes.join(", ") || "none"],
    ["files", `int8/${param}, int8/${bin}`],
    ["made by", `ncnnkit ${version}`],
  ];
}
