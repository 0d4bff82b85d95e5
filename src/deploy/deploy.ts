/**
 * From a checkpoint to a checked INT8 model: convert, store as fp16, calibrate, quantize, and compare fp32, fp16 and int8 on
 * real pictures. Data in, files out as bytes: where they come from and go to is the caller's, so it runs in a page too.
 */
import { expectKind } from "../base/arguments.ts";
import type { QuantizationRecord } from "../heads/manifest.ts";
import { modelFiles } from "../open/convert.ts";
import type { OpenedModel } from "../open/format.ts";
import type { ReportData, ReportExample } from "../report/data.ts";
import { renderReport } from "../report/report.ts";
import { type DeployOptions, type DeployPictures, Job } from "./job.ts";
import { reportData } from "./report.ts";
import { stages } from "./stages.ts";

/** What `deploy` gives: files by path, and what the report shows. */
export interface Deployment {
  name: string;
  /** By path below the output folder, `/` between. */
  files: Record<string, Uint8Array | string>;
  report: ReportData;
  record: QuantizationRecord;
}

/**
 * ```ts
 * const { files, report } = await deploy(await open("yolov5ss.pt"), { calibration, evaluation }, { encode });
 * files["int8/yolov5ss-int8.param"];
 * ```
 * Throws GraphError for a model that is int8 already or broken, UnsupportedError for one that is no detector, or whose int8 form does
 * not do what the float one does (unless `force`), InputError without pictures, and the reason of `signal`.
 */
export async function deploy(
  opened: OpenedModel,
  pictures: DeployPictures,
  options: DeployOptions = {},
): Promise<Deployment> {
  expectKind("deploy: opened", opened, "an opened model ({ graph, manifest })");
  expectKind("deploy: pictures", pictures, "an object");
  expectKind("deploy: pictures.calibration", pictures.calibration, "a list");
  expectKind("deploy: options", options, "an object of options");
  const job = new Job(opened, pictures, options);
  try {
    await job.checkEvaluation();
    for (const stage of stages) await stage.run(job);
    return result(job);
  } finally {
    job.close();
  }
}

function result(job: Job): Deployment {
  const [float, half, int8] = [job.float, job.half, job.int8].map(({ graph, manifest }) =>
    modelFiles(graph, manifest),
  );
  const report = reportData(job, [float, half, int8].map(binaryBytes));
  return {
    name: job.name,
    record: job.int8.manifest.quantization,
    report,
    files: {
      ...inFolder("fp16", half),
      ...inFolder("int8", int8),
      [`${job.name}.table`]: job.calibrated.plainTable,
      ...pictureFiles(job.examples),
      "report.html": renderReport(report),
    },
  };
}

function inFolder(
  folder: string,
  files: Record<string, Uint8Array | string>,
): Record<string, Uint8Array | string> {
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content]));
}

function binaryBytes(files: Record<string, Uint8Array | string>): number {
  return Object.entries(files)
    .filter(([name]) => /\.(param|bin)$/.test(name))
    .reduce((sum, [, content]) => sum + content.length, 0);
}

function pictureFiles(examples: readonly ReportExample[]): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  examples.forEach(({ name, float, int8 }, i) => {
    const stem = name
      .replace(/^.*[/\\]/, "")
      .replace(/\.[^.]*$/, "")
      .replaceAll(/[^\w.-]+/g, "_");
    for (const [kind, { type, bytes }] of Object.entries({ fp32: float, int8 })) {
      files[`pictures/${i + 1}-${stem}-${kind}.${type.slice(6).replace("jpeg", "jpg")}`] = bytes;
    }
  });
  return files;
}
