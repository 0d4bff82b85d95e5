/** `ncnnkit compare`: where two models begin to differ. */
import { openPictures, readEntries, UsageError } from "../node.ts";
import { type BlobComparison, compareModels } from "../steps.ts";
import { command, option } from "./command.ts";
import { loadNamed, modelOptions, warnAssumptions } from "./names.ts";
import { backends, jsonOption, numberIn, threadsFor, threadsOption, wideVectorsOption } from "./options.ts";
import { startProgress } from "./progress.ts";
import { printJson, table } from "./terminal.ts";

export const compare = command({
  name: "compare",
  about: "compare two models blob by blob; one model alone: the engine against the reference kernels",
  arguments: [
    ["<model>", "the model that is taken for right"],
    ["[other]", "the model to judge, such as the int8 one"],
  ],
  options: {
    input: option("--input <picture>", "a picture to run both on"),
    images: option("--images <folder>", "a folder of pictures instead"),
    limit: option("--limit <n>", "pictures at most", numberIn(1, 1e6, true), 16),
    order: option("--order <worst|layers>", "worst blob first, or in the order of layers", String, "worst"),
    backend: backends(
      "--backend <names...>",
      "what computes the judged model, then what the right one (default: wasm, and reference for one model)",
    ),
    ...threadsOption,
    ...jsonOption,
    ...modelOptions,
    ...wideVectorsOption,
  },
  notes: `
Examples:
  ncnnkit compare yolov5ss.param yolov5ss-int8.param --images photos/ --limit 8
  ncnnkit compare broken.param --input photo.jpg --order layers`,
  async run([file, other], options, terminal) {
    if (!["worst", "layers"].includes(options.order)) throw new UsageError("--order is worst or layers");
    const source = options.images ?? options.input;
    if (source === undefined) throw new UsageError("give a picture with --input or a folder with --images");
    const [judged = "wasm", right = other === undefined ? "reference" : judged] = options.backend ?? [];
    const reference = await loadNamed(file, options, terminal, { backend: right });
    const candidate = await loadNamed(other ?? file, options, terminal, { backend: judged });
    // Both get the pictures of the first.
    warnAssumptions(file, reference, terminal);
    const progress = startProgress(terminal);
    const threads = threadsFor(options, options.limit);
    try {
      const all = await openPictures(source, { onWarning: progress.warn });
      const entries = all.slice(0, options.limit);
      progress.step("comparing", 0, entries.length);
      const pictures = readEntries(entries, progress.skip, progress.warn);
      const rows = await compareModels(reference, candidate, pictures, {
        ...{ size: options.size, runner: threads.runner },
        onProgress: (done) => progress.step("comparing", done, entries.length),
      });
      if (options.order === "worst") rows.sort((a, b) => a.sqnr - b.sqnr);
      if (options.json) printJson(terminal, rows);
      else terminal.out(describe(rows));
    } finally {
      progress.stop();
      await threads.close();
      reference.close();
      candidate.close();
    }
  },
});

function describe(rows: readonly BlobComparison[]): string {
  const db = (value: number): string =>
    (value === Number.POSITIVE_INFINITY ? "equal" : value.toFixed(1)).padStart(6);
  const header = ["SQNR dB", "cosine", "max diff", "clipped", "worst channel", "layer"];
  const lines = rows.map((row) => [
    db(row.sqnr),
    row.cosine.toFixed(5),
    row.maxAbs.toExponential(1),
    row.clipped === undefined ? "" : `${(100 * row.clipped).toFixed(2)} %`,
    row.sqnr === Number.POSITIVE_INFINITY
      ? ""
      : `${row.worstChannel.channel}: ${db(row.worstChannel.sqnr).trim()} dB`,
    `${row.type} ${row.node}${row.node === row.blob ? "" : ` > ${row.blob}`}`,
  ]);
  return table([header, ...lines]);
}
