/** `ncnnkit profile`: where the time of a model goes. */
import { type Profile, planText, profile } from "../steps.ts";
import { command, flag, option } from "./command.ts";
import { loadNamed, modelOptions } from "./names.ts";
import { backendOptions, jsonOption, numberIn, wideVectorsOption } from "./options.ts";
import { printJson, table } from "./terminal.ts";

export const profileCommand = command({
  name: "profile",
  about: "time every step of a model, on one thread or the GPU: kernel, milliseconds, GMAC/s, bytes, share",
  arguments: [["<model>", "anything that detect takes"]],
  options: {
    loops: option("--loops <n>", "timed rounds", numberIn(1, 100000, true), 50),
    top: option("--top <n>", "show the slowest steps only", numberIn(1, 100000, true), 100000),
    plan: flag("--plan", "print the plan (steps, kernels, memory) and time nothing"),
    ...jsonOption,
    ...modelOptions,
    ...backendOptions,
    ...wideVectorsOption,
  },
  notes: `
Examples:
  ncnnkit profile yolov5ss.param --size 320 --top 20
  ncnnkit profile yolov5ss.param --plan`,
  async run([file], options, terminal) {
    const { size, loops, top, plan, json, backend, precision, tune } = options;
    const model = await loadNamed(file, options, terminal, { backend, precision, tune });
    try {
      if (plan) {
        terminal.out(await planText(model, size));
        return;
      }
      const result = await profile(model, { ...size, loops });
      if (json) printJson(terminal, result);
      else terminal.out(describe(result, top));
    } finally {
      model.close();
    }
  },
});

function describe({ steps, total, loops, memoryBytes }: Profile, top: number): string {
  const known = steps.reduce((sum, step) => sum + step.ms, 0);
  const cells = (name: string, ms: number, macs: number, bytes: number): string[] => [
    name,
    ms.toFixed(3).padStart(8),
    `${((100 * ms) / total).toFixed(1)} %`.padStart(7),
    macs ? (macs / ms / 1e6).toFixed(1).padStart(7) : "",
    bytes ? (bytes / ms / 1e6).toFixed(1).padStart(6) : "",
  ];
  const families = new Map<string, { ms: number; macs: number; bytes: number; count: number }>();
  for (const step of steps) {
    const family = step.label.split(/ (?=\d)/)[0];
    const entry = families.get(family) ?? { ms: 0, macs: 0, bytes: 0, count: 0 };
    entry.ms += step.ms;
    entry.macs += step.macs;
    entry.bytes += step.bytes;
    entry.count++;
    families.set(family, entry);
  }
  const header = (first: string): string[] => [first, "      ms", "  share", " GMAC/s", "  GB/s"];
  const slowest = steps
    .map((step, i) => ({ step, i }))
    .sort((a, b) => b.step.ms - a.step.ms)
    .slice(0, top);
  const byStep = slowest.map(({ step, i }) => [
    ...cells(`${String(i).padStart(3)} ${step.label}`, step.ms, step.macs, step.bytes),
    step.nodes.join(" "),
  ]);
  const byFamily = [...families]
    .sort(([, a], [, b]) => b.ms - a.ms)
    .map(([name, { ms, macs, bytes, count }]) => cells(`${name} (${count})`, ms, macs, bytes));
  byFamily.push(cells("not explained by a step", Math.max(total - known, 0), 0, 0));
  byFamily.push(
    cells(
      "in all",
      total,
      steps.reduce((sum, step) => sum + step.macs, 0),
      0,
    ),
  );
  const memory = `${loops} rounds, medians; ${(memoryBytes / 2 ** 20).toFixed(1)} MiB of memory for the network\n`;
  return `${table([header("step"), ...byStep])}\n${table([header("kernel (steps)"), ...byFamily])}\n${memory}`;
}
