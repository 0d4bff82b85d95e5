/** In the worker: what is known of a model, and where its time goes. */
import { summarize } from "../src/index.ts";
import { describeHead, formatShape, type Profile, profile } from "../src/steps.ts";
import { type Detector, sizeFor } from "./detector.ts";
import type { ModelCard } from "./protocol.ts";

export async function cardOf(
  detector: Detector,
  { id, size }: { id: number; size: number },
): Promise<ModelCard> {
  const model = detector.model(id);
  const { manifest, graph, memoryBytes, backend } = model;
  const { blob, channels } = manifest.input;
  const { width, height } = sizeFor(model, size);
  const { layers, parameters, macs, weightBytes } = summarize(graph, { [blob]: [channels, height, width] });
  return {
    ...{ manifest, parameters, macs, weightBytes, memoryBytes, backend },
    heads: manifest.heads.map(describeHead),
    layers: layers.map(({ name, type, outputs, ...counts }) => ({
      ...{ name, type },
      shape: outputs[0]?.shape ? formatShape(outputs[0].shape) : "",
      parameters: counts.parameters,
      macs: counts.macs ?? 0,
    })),
  };
}

/** Rounds that are timed: a second or two on a phone. */
const loops = 12;

export async function profileOf(
  detector: Detector,
  { id, size }: { id: number; size: number },
): Promise<Profile> {
  const model = detector.model(id);
  return profile(model, { ...sizeFor(model, size), loops });
}
