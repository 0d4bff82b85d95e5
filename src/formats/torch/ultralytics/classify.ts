/**
 * How the pictures of ultralytics' classifiers are prepared.
 * Source: ultralytics 8.4 models/yolo/classify, data/augment.py (`classify_transforms`).
 */
import type { Network } from "../framework.ts";
import type { TorchModule } from "../module.ts";

/** Mean and deviation of the channels, where the model keeps what it was trained with: parts of the range 0 to 1. */
export function levelsOf(root: TorchModule): Pick<Network, "levels"> {
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
