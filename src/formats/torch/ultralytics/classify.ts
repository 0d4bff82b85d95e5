/**
 * The last module of ultralytics' classifiers, and how their pictures are prepared.
 * Source: ultralytics 8.4 nn/modules/head.py (`Classify`), models/yolo/classify, data/augment.py (`classify_transforms`).
 */
import { concat } from "../blocks.ts";
import type { NetworkBuilder } from "../builder.ts";
import type { Network } from "../framework.ts";
import type { TorchModule } from "../module.ts";

/** Appends the layers up to the logits. */
export function emitClassify(
  b: NetworkBuilder,
  root: TorchModule,
  m: TorchModule,
  inputs: readonly string[],
): Network {
  m.expectChildren(["conv", "pool", "drop", "linear"]);
  const x = inputs.length > 1 ? concat(b, m, inputs) : inputs[0];
  const pooled = b.chain(m, ["conv", "pool"], x);
  const flat = b.layer(m, "Flatten", m.at("flatten"), [pooled]);
  const blob = b.rename(b.chain(m, ["drop", "linear"], flat), "logits");
  return {
    heads: [{ kind: "classes", blob, softmax: true, stride: 1 }],
    classes: m.child("linear").tensor("weight", 2).shape[0],
    stride: 1,
    family: "ultralytics-cls",
    ...levels(root),
  };
}

/** Mean and deviation of the channels, where the model keeps what it was trained with: parts of the range 0 to 1. */
function levels(root: TorchModule): Pick<Network, "levels"> {
  const transforms = root.objects("transforms", "transforms");
  const normalize = transforms.find(({ className }) => className === normalizeClass);
  if (!normalize) return {};
  const [mean, deviation] = ["mean", "std"].map((name) => normalize.numbers(name));
  if (mean.length !== deviation.length || deviation.some((value) => !(value > 0))) {
    normalize.fail(
      `means of ${mean.length} and deviations ${deviation.join(", ")}, expected as many above 0`,
    );
  }
  return {
    levels: { mean: mean.map((value) => 255 * value), norm: deviation.map((value) => 1 / (255 * value)) },
  };
}

const normalizeClass = "torchvision.transforms.transforms.Normalize";
