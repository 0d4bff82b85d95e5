/** `ncnnkit pull`: models by name, onto this machine. */
import { isHere } from "../node/pull.ts";
import {
  modelCache,
  type PulledModel,
  pullModel,
  type RegistryEntry,
  registry,
  UsageError,
} from "../node.ts";
import { requireEntry } from "../steps.ts";
import { command, flag } from "./command.ts";
import { nameOptions, tellingDownloads } from "./names.ts";
import { jsonOption } from "./options.ts";
import { printJson, type Terminal, table } from "./terminal.ts";

const notes = `
Prints the path of each file. Every command that takes a model takes a name as well, and downloads it when it is not here.
Files are kept in ${modelCache()} (another folder: NCNNKIT_CACHE), and checked against
their known sha256 whenever they are used. NCNNKIT_MODELS names a folder that is searched first.

Examples:
  ncnnkit pull --list
  ncnnkit pull yolov5ss
  ncnnkit detect codefinder photo.jpg`;

export const pull = command({
  name: "pull",
  about: "download models by name, checked, for later use without a network",
  arguments: [["[names...]", "names of the list"]],
  options: { list: flag("--list", "list the models that have a name"), ...jsonOption, ...nameOptions },
  notes,
  async run([names], { list, json, offline }, terminal) {
    if (list) {
      tell(names.length ? names.map(requireEntry) : registry, json, terminal);
      return;
    }
    if (!names.length) throw new UsageError("give a name; ncnnkit pull --list shows them");
    names.forEach(requireEntry); // a misspelt one is told before anything is downloaded
    const pulled: PulledModel[] = [];
    for (const name of new Set(names)) {
      const model = await tellingDownloads(terminal, (told) => pullModel(name, { ...told, offline }));
      pulled.push(model);
      if (!json) terminal.out(model.files.map((file) => `${file.path}\n`).join(""));
    }
    if (json) {
      const models = pulled.map(({ entry, files }) => ({ name: entry.name, licence: entry.licence, files }));
      printJson(terminal, models);
    }
  },
});

function tell(entries: readonly RegistryEntry[], json: boolean | undefined, terminal: Terminal): void {
  if (json) {
    const rows = entries.map((entry) => ({ ...entry, here: isHere(entry) }));
    printJson(terminal, rows);
    return;
  }
  const rows = entries.map((entry) => [
    entry.name,
    entry.builtIn === undefined ? mebibytes(entry) : "",
    `${entry.input.width}×${entry.input.height}`,
    `${entry.labels.length} classes`,
    entry.licence,
    entry.builtIn !== undefined ? "built in" : isHere(entry) ? "here" : "to fetch",
    entry.description,
  ]);
  terminal.out(table(rows));
}

function mebibytes({ files }: RegistryEntry): string {
  return `${(files.reduce((sum, { bytes }) => sum + bytes, 0) / 2 ** 20).toFixed(1)} MiB`;
}
