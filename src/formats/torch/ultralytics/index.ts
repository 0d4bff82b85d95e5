/**
 * Models of the ultralytics package: YOLOv8 to 26, and YOLOv3, v5 and v6 as it has them.
 * Source: ultralytics 8.4 nn/tasks.py (`parse_model`, `BaseModel.predict`), engine/trainer.py (checkpoint keys).
 */
import { UnsupportedError } from "../../../base/errors.ts";
import { emitClassify } from "../classify.ts";
import { emitLayers, type Framework } from "../framework.ts";
import { type PyDict, PyObject, type PyValue } from "../values.ts";
import { blockEmitters, modulePaths } from "./blocks.ts";
import { levelsOf } from "./classify.ts";
import { detectTasks, emitDetect } from "./heads.ts";

const modelPath = "ultralytics.nn.tasks.";

/** Models that are something else than a network that a picture goes through, and why each is not read. */
const otherModels: Readonly<Record<string, string>> = {
  RTDETRDetectionModel: "an RT-DETR model: its boxes come from a decoder of queries, not from a grid",
  WorldModel: "a YOLO-World model: its classes are texts that are put in beside the picture",
  YOLOEModel: "a YOLOE model: its classes are prompts that are put in beside the picture",
  YOLOESegModel: "a YOLOE model: its classes are prompts that are put in beside the picture",
  SemanticSegmentationModel: "a model that gives every pixel a class, not objects",
  DepthModel: "a model of distances from the camera, not of objects",
  Ensemble: "several models in one",
};

const namesOf = (classes: readonly string[]): ReadonlySet<string> =>
  new Set(classes.flatMap((name) => modulePaths.map((path) => path + name)));
const detectClasses = namesOf(Object.keys(detectTasks));
const classifyClasses = namesOf(["Classify"]);

export const ultralytics: Framework = {
  emitters: blockEmitters,
  claims(root) {
    if (!root.className.startsWith(modelPath)) return false;
    const why = Object.hasOwn(otherModels, root.shortName) ? otherModels[root.shortName] : undefined;
    if (why) {
      throw new UnsupportedError(
        `the checkpoint holds ${why} (${root.className}); export it, yolo export model=FILE.pt format=onnx, and convert that where it can be`,
      );
    }
    return true;
  },
  emit(b, root, { endToEnd = false }) {
    return emitLayers(b, root, {
      is: ({ className }) => detectClasses.has(className) || classifyClasses.has(className),
      emit: (layer, inputs) =>
        classifyClasses.has(layer.className)
          ? { ...emitClassify(b, layer, inputs, "ultralytics-cls"), ...levelsOf(root) }
          : emitDetect(b, layer, inputs, endToEnd),
    });
  },
  trainingSize(root, checkpoint) {
    return optionIn(checkpoint?.get("train_args"), "imgsz") ?? optionIn(root.attribute("args"), "imgsz");
  },
};

/** An option in a dict, or in an object that has it as an attribute. */
function optionIn(options: PyValue | undefined, name: string): PyValue | undefined {
  const table: PyDict | undefined =
    options instanceof Map
      ? options
      : options instanceof PyObject && options.state instanceof Map
        ? options.state
        : undefined;
  return table?.get(name);
}
