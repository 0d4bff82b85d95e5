/** Some pictures with the boxes of the float and of the int8 model, for the report. */
import type { Detection } from "../../detect/detection.ts";
import { drawDetections, lettered } from "../../detect/draw.ts";
import { bitmapLettering } from "../../detect/lettering.ts";
import { distinctNames } from "../../detect/save.ts";
import type { ReportExample } from "../../report/data.ts";
import type { EvaluationEntry, EvaluationItem } from "../../tally/pictures.ts";
import type { Evaluation } from "../evaluate.ts";
import type { Stage } from "../stage.ts";

const shownPictures = 4;

export const draw: Stage = {
  name: "draw",
  async run(job) {
    const { encode, letterer = async () => bitmapLettering } = job.options;
    const { float, int8 } = job.models;
    const examples: ReportExample[] = [];
    const paths: string[] = [];
    for (const id of encode ? exampleIds(job.measured) : []) {
      const entry = await findEntry(job.evaluation, id);
      if (!encode || !entry) continue;
      const { picture } = entry.item;
      const [before, after] = [
        await float.detect(picture, { size: job.size }),
        await int8.detect(picture, { size: job.size }),
      ];
      const draw = async (found: Detection[]) =>
        drawDetections(picture, found, await lettered(picture, found, letterer));
      examples.push({
        name: entry.name,
        float: await encode(await draw(before)),
        int8: await encode(await draw(after)),
        floatCount: before.length,
        int8Count: after.length,
      });
      paths.push(typeof id === "string" ? id : entry.name);
      job.progress("draw", examples.length, shownPictures);
    }
    // Where the folder is on this machine is nobody's business.
    const short = examples.map(({ name }) => name.replace(/^.*[/\\]/, ""));
    const full = paths.map((each) => each.replace(/^(?:\.\.[/\\])+/, ""));
    const names = distinctNames(short, full);
    job.examples = examples.map((example, i) => ({ ...example, name: names[i] }));
  },
};

/**
 * The pictures to show: those on which int8 differs most, then some on which the difference is usual. Difference: scores of
 * confident boxes that only one model has, and of those that both have the change.
 */
function exampleIds({ models }: Evaluation): EvaluationItem["id"][] {
  const [float, , int8] = models;
  const differences = new Map<EvaluationItem["id"], number>();
  const add = (id: EvaluationItem["id"], amount: number): void => {
    differences.set(id, (differences.get(id) ?? 0) + amount);
  };
  for (const { image, reference, candidate } of int8.fidelity?.pairs ?? [])
    add(image, Math.abs(candidate - reference));
  // A confident box without a partner counts as the change of its score to nothing.
  const surplus = new Map<EvaluationItem["id"], number>();
  for (const [rows, sign] of [
    [float.detections, 1],
    [int8.detections, -1],
  ] as const) {
    for (const row of rows) {
      if (row.score >= 0.25) surplus.set(row.image, (surplus.get(row.image) ?? 0) + sign * row.score);
    }
  }
  for (const [id, amount] of surplus) add(id, Math.abs(amount));
  const sorted = [...differences].sort((a, b) => b[1] - a[1]).map(([id]) => id);
  const usual = sorted.length >> 1;
  return [
    ...new Set([...sorted.slice(0, shownPictures / 2), ...sorted.slice(usual, usual + shownPictures / 2)]),
  ];
}

async function findEntry(
  entries: readonly EvaluationEntry[],
  id: EvaluationItem["id"],
): Promise<{ name: string; item: EvaluationItem } | undefined> {
  const isLikely = (name: string): boolean => name.replaceAll("\\", "/").includes(String(id));
  // Names usually tell; reading all pictures to find one is the last resort.
  const likely = [...entries].sort((a, b) => Number(isLikely(b.name)) - Number(isLikely(a.name)));
  for (const { name, read } of likely) {
    const item = await read().catch(() => undefined);
    if (item?.id === id) return { name, item };
  }
  return undefined;
}
