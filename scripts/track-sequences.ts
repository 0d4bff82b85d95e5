/**
 * The shipped detector and the trackers on generated sequences whose truth is known: the table of docs/video.md.
 * `npm run build && node scripts/track-sequences.ts [SEEDS]`
 */
import path from "node:path";
import { createTracker, load, type ObjectDetection, type TrackedSequence, type TrackRow } from "ncnnkit/node";
import { evaluateTracks } from "ncnnkit/steps";
import { generateSequence, truthRows } from "../training/pictures/sequence.ts";

const seeds = Array.from({ length: Number(process.argv[2] ?? 6) }, (_, i) => i + 1);
const model = await load(path.resolve(import.meta.dirname, "../models/codefinder-int8"));
console.log(
  "| scene | tracker | MOTA | IDF1 | HOTA | missed | wrong | switches |\n|---|---|---|---|---|---|---|---|",
);
for (const scene of ["crossing", "occlusion", "mixed"] as const) {
  for (const method of ["bytetrack", "sort"] as const) {
    const sequences: TrackedSequence[] = [];
    for (const seed of seeds) {
      const tracker = createTracker({ method, highScore: 0.4 });
      const [truth, result]: [TrackRow[], TrackRow[]] = [[], []];
      let frame = 0;
      for (const each of generateSequence(seed, {
        width: 480,
        height: 360,
        frames: 80,
        split: "held-out",
        scene,
      })) {
        frame++;
        truth.push(...truthRows(each, frame));
        const found = await model.detect(each.picture, { confidence: 0.1, agnostic: true });
        for (const { id, detection } of tracker.update(found as ObjectDetection[]).tracked) {
          result.push({ frame, id, box: detection.box, score: detection.score });
        }
      }
      sequences.push({ name: `${scene} ${seed}`, truth, result });
    }
    const { clear, identity, hota } = evaluateTracks(sequences, { rules: "mot17" }).combined;
    const shares = [clear.MOTA, identity.IDF1, hota.HOTA].map((value) => value.toFixed(3));
    console.log(`| ${[scene, method, ...shares, clear.FN, clear.FP, clear.IDSW].join(" | ")} |`);
  }
}
model.close();
