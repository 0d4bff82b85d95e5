/**
 * Models of YOLOv5 3.0 to 7.0 and YOLOv5-Lite.
 * Source: ultralytics/yolov5 v7.0 models/yolo.py, train.py (checkpoint keys).
 */
import { UnsupportedError } from "../../../base/errors.ts";
import { emitLayers, type Framework } from "../framework.ts";
import type { TorchModule } from "../module.ts";
import type { PyDict, PyValue } from "../values.ts";
import { blockEmitters } from "./blocks.ts";
import { detectClass, emitDetect, nmsClass } from "./detect.ts";

const classes = new Set(["models.yolo.Model", "models.yolo.DetectionModel"]);

/** Models and last modules that are no detector's, or another family's. */
const otherKinds: ReadonlyMap<string, string> = new Map([
  ["models.yolo.SegmentationModel", "a segmentation model"],
  ["models.yolo.Segment", "a segmentation model"],
  ["models.yolo.ClassificationModel", "a classification model"],
  ["models.common.Classify", "a classification model"],
  ...["DDetect", "DualDetect", "DualDDetect", "TripleDetect", "TripleDDetect"].map(
    (name) => [`models.yolo.${name}`, "a YOLOv9 model"] as const,
  ),
]);

export const yolov5: Framework = {
  emitters: blockEmitters,
  claims(root) {
    refuseOtherKinds(root);
    return classes.has(root.className);
  },
  emit(b, root) {
    const yaml = root.attribute("yaml");
    const anchors = yaml instanceof Map ? yaml.get("anchors") : undefined;
    return emitLayers(b, root, {
      is: ({ className }) => className === detectClass,
      after: [nmsClass],
      emit: (layer, inputs) => emitDetect(b, layer, inputs, anchors),
    });
  },
  trainingSize,
};

export function trainingSize(_: TorchModule, checkpoint: PyDict | undefined): PyValue | undefined {
  const options = checkpoint?.get("opt");
  return options instanceof Map ? (options.get("imgsz") ?? options.get("img_size")) : undefined;
}

function refuseOtherKinds(root: TorchModule): void {
  const layers = root.optionalChild("model")?.children() ?? [];
  const names = [root.className, ...layers.slice(-1).map(([, layer]) => layer.className)];
  for (const className of names) {
    const kind = otherKinds.get(className);
    if (!kind) continue;
    throw new UnsupportedError(
      `the checkpoint holds ${kind} (${className}); of checkpoints only YOLOv5 detectors are read: export it to ONNX in the project that trained it and convert that`,
    );
  }
}
