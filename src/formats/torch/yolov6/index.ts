/**
 * Models of YOLOv6, 0.1.0 to 0.4.1. Their checkpoints hold neither class names nor the size that they were trained at.
 * Source: meituan/YOLOv6 yolov6/models/yolo.py and yolo_lite.py, utils/checkpoint.py (`load_checkpoint`).
 */
import { type Framework, torchInputBlob } from "../framework.ts";
import type { TorchModule } from "../module.ts";
import { blockEmitters } from "./blocks.ts";
import { emitDetect } from "./heads.ts";
import { backbones, necks } from "./network.ts";

const classes = new Set(["yolov6.models.yolo.Model", "yolov6.models.yolo_lite.Model"]);

export const yolov6: Framework = {
  emitters: blockEmitters,
  claims: ({ className }) => classes.has(className),
  emit(b, root) {
    root.expectChildren(["backbone", "neck", "detect"]);
    const [backbone, neck] = [root.child("backbone"), root.child("neck")];
    const features = known(backbones, backbone)(b, backbone, [torchInputBlob]);
    return emitDetect(b, root.child("detect"), known(necks, neck)(b, neck, features));
  },
  trainingSize: () => undefined,
};

function known<T>(trunks: ReadonlyMap<string, T>, m: TorchModule): T {
  const names = [...trunks.keys()].map((name) => name.split(".").at(-1));
  return (
    trunks.get(m.className) ??
    m.unsupported(`this class is not known here (${names.join(", ")}): a modified model`)
  );
}
