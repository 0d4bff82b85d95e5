/**
 * Models of YOLOv5 3.0 to 7.0, its tasks included, and YOLOv5-Lite.
 * Source: ultralytics/yolov5 v7.0 models/yolo.py, train.py and classify/train.py (checkpoint keys, `transforms`).
 */
import { UnsupportedError } from "../../../base/errors.ts";
import type { NetworkBuilder } from "../builder.ts";
import { emitClassify } from "../classify.ts";
import { emitLayers, type Framework, type Network } from "../framework.ts";
import type { TorchModule } from "../module.ts";
import type { PyDict, PyValue } from "../values.ts";
import { blockEmitters } from "./blocks.ts";
import { emitDetect, emitSegment } from "./detect.ts";

const classes = new Set(
  ["Model", "DetectionModel", "SegmentationModel", "ClassificationModel"].map(
    (name) => `models.yolo.${name}`,
  ),
);

export const detectClass = "models.yolo.Detect";
/** Modules behind Detect that only post-process. */
export const nmsClass = "models.common.NMS";

type EmitHead = (
  b: NetworkBuilder,
  m: TorchModule,
  inputs: readonly string[],
  yamlAnchors: PyValue | undefined,
) => Network;

const heads: ReadonlyMap<string, EmitHead> = new Map([
  [detectClass, (b, m, inputs, anchors) => emitDetect(b, m, inputs, anchors)],
  ["models.yolo.Segment", emitSegment],
  ["models.common.Classify", (b, m, inputs) => emitClassify(b, m, inputs, "yolov5-cls")],
]);

export const yolov5: Framework = {
  emitters: blockEmitters,
  claims(root) {
    if (!classes.has(root.className)) return false;
    refuseOthers(root);
    return true;
  },
  emit: (b, root) =>
    emitLayers(b, root, {
      is: ({ className }) => heads.has(className),
      after: [nmsClass],
      emit: (layer, inputs) => heads.get(layer.className)!(b, layer, inputs, anchorsOf(root)),
    }),
  trainingSize: (root, checkpoint) => trainingSize(root, checkpoint) ?? cutSize(root),
};

export function anchorsOf(root: TorchModule): PyValue | undefined {
  const yaml = root.attribute("yaml");
  return yaml instanceof Map ? yaml.get("anchors") : undefined;
}

export function trainingSize(_: TorchModule, checkpoint: PyDict | undefined): PyValue | undefined {
  const options = checkpoint?.get("opt");
  return options instanceof Map ? (options.get("imgsz") ?? options.get("img_size")) : undefined;
}

/** Height of the CenterCrop that a network that sorts pictures is stored with. */
function cutSize(root: TorchModule): PyValue | undefined {
  const steps = root.objects("transforms", "transforms");
  return steps.find(({ className }) => className === "utils.augmentations.CenterCrop")?.attribute("h");
}

/** Heads of projects that have taken over the class of the model. */
function refuseOthers(root: TorchModule): void {
  const layers = root.optionalChild("model")?.children() ?? [];
  const last = layers.at(-1)?.[1].className ?? "";
  if (/^models\.yolo\.(Dual|Triple)?D?Detect$/.test(last) && last !== detectClass) {
    throw new UnsupportedError(
      `the checkpoint holds a YOLOv9 model of its authors (${last}), which is not read; of YOLOv9 those of the ultralytics package are: export it to ONNX in the project that trained it and convert that`,
    );
  }
}
