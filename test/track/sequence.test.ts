/** The shipped detector and the trackers on generated sequences whose truth is known: MOTA, IDF1, switches. */
import path from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import {
  createTracker,
  type Model,
  type ObjectDetection,
  type TrackedSequence,
  type TrackRow,
} from "../../src/index.ts";
import { load } from "../../src/node.ts";
import { evaluateTracks } from "../../src/steps.ts";
import { generateSequence, type SequenceOptions, truthRows } from "../../training/pictures/sequence.ts";

vi.setConfig({ testTimeout: 180_000 });
let model: Model;
beforeAll(async () => {
  model = await load(path.resolve(import.meta.dirname, "../../models/codefinder-int8"));
});
afterAll(() => model.close());

const options = { width: 480, height: 360, frames: 80, split: "held-out" } as const;

/** What detector and tracker make of a scene, and its truth. */
async function follow(seed: number, scene: SequenceOptions["scene"]): Promise<TrackedSequence> {
  const tracker = createTracker({ highScore: 0.4 });
  const [truth, result]: [TrackRow[], TrackRow[]] = [[], []];
  let frame = 0;
  for (const each of generateSequence(seed, { ...options, scene })) {
    frame++;
    truth.push(...truthRows(each, frame));
    const found = await model.detect(each.picture, { confidence: 0.1, agnostic: true });
    for (const { id, detection } of tracker.update(found as ObjectDetection[]).tracked) {
      result.push({ frame, id, box: detection.box, score: detection.score });
    }
  }
  return { name: `${scene} ${seed}`, truth, result };
}

test("in simple crossings nobody is taken for the other", async () => {
  const sequences = [await follow(1, "crossing"), await follow(2, "crossing"), await follow(3, "crossing")];
  for (const { clear, identity } of evaluateTracks(sequences, { rules: "mot17" }).sequences) {
    expect(clear.IDSW).toBe(0);
    expect(clear.MOTA).toBeGreaterThanOrEqual(0.95);
    expect(identity.IDF1).toBeGreaterThanOrEqual(0.95);
  }
});

test("behind a post and out of sight for twelve frames", async () => {
  const sequences: TrackedSequence[] = [];
  for (let seed = 1; seed <= 6; seed++) sequences.push(await follow(seed, "occlusion"));
  const { clear, identity } = evaluateTracks(sequences, { rules: "mot17" }).combined;
  expect(clear.MOTA).toBeGreaterThanOrEqual(0.95);
  expect(identity.IDF1).toBeGreaterThanOrEqual(0.95);
  // One code of twelve comes back where no filter of constant speed looks for it.
  expect(clear.IDSW).toBeLessThanOrEqual(1);
});

test("the same seed gives the same frames", () => {
  const first = (): unknown => generateSequence(5, { ...options, scene: "mixed" }).next().value;
  expect(first()).toEqual(first());
});
