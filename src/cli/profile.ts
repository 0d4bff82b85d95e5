/** `ncnnkit profile`: where the time of a model goes. */
import type { Command } from "commander";
import { type Profile, planText, profile } from "../steps.ts";
import { addNameOptions, loadNamed, type NameOptions } from "./names.ts";
import { numberIn, parseSize } from "./options.ts";
import { type Terminal, table } from "./terminal.ts";

interface ProfileOptions extends NameOptions {
  size?: { width: number; height: number };
  loops: number;
  top: number;
  plan?: boolean;
  json?: boolean;
}

export function profileCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command("profile")
    .description("time every step of a model on one thread: kernel, milliseconds, GMAC/s, bytes, share")
    .argument("<model>", "anything that detect takes")
    .option("--size <n|wxh>", "input size in pixels", parseSize)
    .option("--loops <n>", "timed rounds", numberIn(1, 100000, true), 50)
    .option("--top <n>", "show the slowest steps only", numberIn(1, 100000, true), 100000)
    .option("--plan", "print the plan (steps, kernels, memory) and time nothing")
    .option("--json", "print JSON only");
  addNameOptions(command)
    .addHelpText(
      "after",
      "\nExamples:\n  ncnnkit profile yolov5ss.param --size 320 --top 20\n  ncnnkit profile yolov5ss.param --plan",
    )
    .action(async (file: string, options: ProfileOptions) => {
      const model = await loadNamed(file, terminal, { backend: "wasm", offline: options.offline });
      const size = { ...(options.size ?? {}), loops: options.loops };
      try {
        if (options.plan) {
          terminal.out(await planText(model, size));
          return;
        }
        const result = await profile(model, size);
        if (options.json) terminal.out(`${JSON.stringify(result, null, 2)}\n`);
        else terminal.out(describe(result, options.top));
      } finally {
        model.close();
      }
    });
}

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
  const memory = `${loops} rounds, medians; ${(memoryBytes / 2 ** 20).toFixed(1)} MiB of WebAssembly memory\n`;
  return `${table([header("step"), ...byStep])}\n${table([header("kernel (steps)"), ...byFamily])}\n${memory}`;
}
