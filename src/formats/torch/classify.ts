/**
 * The last module of networks that sort pictures, which YOLOv5 and those after it have alike.
 * Source for attribute names and what `forward` computes: ultralytics/yolov5 v7.0 models/common.py and ultralytics 8.4
 * nn/modules/head.py (`Classify`).
 */
import type { FamilyName } from "../../heads/families.ts";
import { concat } from "./blocks.ts";
import type { NetworkBuilder } from "./builder.ts";
import type { Network } from "./framework.ts";
import type { TorchModule } from "./module.ts";

/** Appends the layers up to the logits. */
export function emitClassify(
  b: NetworkBuilder,
  m: TorchModule,
  inputs: readonly string[],
  family: FamilyName,
): Network {
  m.expectChildren(["conv", "pool", "drop", "linear"]);
  const x = inputs.length > 1 ? concat(b, m, inputs) : inputs[0];
  const flat = b.layer(m, "Flatten", m.at("flatten"), [b.chain(m, ["conv", "pool"], x)]);
  const blob = b.rename(b.chain(m, ["drop", "linear"], flat), "logits");
  const [classes] = m.child("linear").tensor("weight", 2).shape;
  return { heads: [{ kind: "classes", blob, softmax: true, stride: 1 }], classes, stride: 1, family };
}
