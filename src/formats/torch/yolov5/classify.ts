/**
 * The head of a network that sorts pictures.
 * Source: ultralytics/yolov5 v7.0 models/common.py (`Classify`), utils/augmentations.py (`classify_transforms`).
 */
import type { NetworkBuilder } from "../builder.ts";
import type { Network } from "../framework.ts";
import type { TorchModule } from "../module.ts";

export function emitClassify(b: NetworkBuilder, m: TorchModule, inputs: readonly string[]): Network {
  m.expectChildren(["conv", "pool", "drop", "linear"]);
  const x = inputs.length > 1 ? b.layer(m, "Concat", m.at("cat"), inputs) : inputs[0];
  const means = b.layer(m, "Flatten", m.at("flatten"), [b.chain(m, ["conv", "pool"], x)]);
  const blob = b.chain(m, ["drop", "linear"], means);
  const [classes] = m.child("linear").tensor("weight", 2).shape;
  return {
    heads: [{ kind: "classes", blob, softmax: true, stride: 1 }],
    classes,
    stride: 1,
    family: "yolov5-cls",
  };
}
