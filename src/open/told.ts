/** What whoever opens a model says of it, over what its manifest or checkpoint says. */
import { UsageError } from "../base/errors.ts";
import { inputTransform } from "../detect/letterbox.ts";
import { preprocessingOf } from "../heads/families.ts";
import { strideOf } from "../heads/index.ts";
import { inputDifferences, type ModelInput, type Preprocessing } from "../heads/input.ts";
import type { Head, Manifest } from "../heads/manifest.ts";
import { bothSides, type KnownFacts } from "./facts.ts";

/**
 * The parts of the pre-processing that were told, with a number for every channel where one stands for all. Throws UsageError where
 * they do not fit the channels.
 */
export function toldPreprocessing(
  { preprocessing = {} }: KnownFacts,
  channels: 1 | 3,
): Partial<Preprocessing> {
  const told = { ...preprocessing };
  for (const name of ["mean", "norm"] as const) {
    const list = told[name];
    if (!list) continue;
    if (list.length !== channels && list.length !== 1) {
      throw new UsageError(`${name}: found ${list.length} numbers, expected ${channels}, one a channel`);
    }
    told[name] = Array.from({ length: channels }, (_, c) => list[c] ?? list[0]);
  }
  if (told.norm?.includes(0)) throw new UsageError("norm: found 0, which makes all pictures the same");
  if (told.pixel && (told.pixel === "GRAY") !== (channels === 1)) {
    throw new UsageError(
      `pixel ${told.pixel}: the model takes ${channels} channels, expected ${channels === 1 ? "GRAY" : "RGB or BGR"}`,
    );
  }
  return told;
}

/** A manifest as told, and a sentence where that contradicts it. Throws UsageError where what was told does not fit. */
export function asTold(manifest: Manifest, known: KnownFacts): { manifest: Manifest; assumptions: string[] } {
  const { input } = manifest;
  const told: ModelInput = {
    ...input,
    ...bothSides(known.size),
    ...(known.family && preprocessingOf(known.family, input.channels)),
    ...toldPreprocessing(known, input.channels),
  };
  inputTransform(1, 1, told); // refuses a size that is no multiple of the stride
  const differences = inputDifferences(told, input);
  const assumptions = differences.length
    ? [
        `pictures are prepared as told and not as its manifest says: ${differences.join("; ")}. Run or calibrated with other pictures than it was made for, a model loses much: mean 104,117,123 and norm 0.017 for one of 1/255 are known to cost 7.7 AP`,
      ]
    : [];
  const [heads, labels] = [toldHeads(manifest, known), toldLabels(manifest, known)];
  return { manifest: { ...manifest, input: told, heads, labels }, assumptions };
}

/** Heads with their anchors as told, which are in the order of strides. */
function toldHeads({ heads }: Manifest, { anchors }: KnownFacts): Head[] {
  if (!anchors || heads.length === 0) return heads;
  const ordered = heads.toSorted((a, b) => strideOf(a) - strideOf(b));
  const counts = (lists: readonly (readonly number[])[]): string =>
    lists.map((list) => list.length).join(", ");
  const known = ordered.flatMap((head) => ("anchors" in head ? [head.anchors] : []));
  if (counts(known) !== counts(anchors)) {
    const expected = known.length ? `lists of ${counts(known)} numbers` : "none: its heads have no anchors";
    throw new UsageError(`anchors: found lists of ${counts(anchors)} numbers, expected ${expected}`);
  }
  return heads.map((head) => ({ ...head, anchors: [...anchors[ordered.indexOf(head)]] }));
}

function toldLabels({ labels }: Manifest, known: KnownFacts): string[] {
  if (!known.labels || labels.length === 0) return labels;
  if (known.labels.length === labels.length) return [...known.labels];
  throw new UsageError(
    `labels: found ${known.labels.length} names, but the heads of the model have ${labels.length} classes`,
  );
}
