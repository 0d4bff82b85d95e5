/** Models by name on the command line: `--offline`, and what is said while a model is downloaded. */
import { withoutGlyphs } from "../node/lettering.ts";
import {
  type LoadOptions,
  load,
  moduleFolder,
  type OpenedModel,
  type OpenOptions,
  open,
  type PullOptions,
} from "../node.ts";
import type { Model } from "../steps.ts";
import { flag, type OptionsOf } from "./command.ts";
import { factOptions, inputOptions, knownFacts } from "./options.ts";
import { startProgress } from "./progress.ts";
import { type Terminal, warn } from "./terminal.ts";

export const nameOptions = {
  offline: flag("--offline", "download nothing: a model by name must be on this machine"),
};
/** Of every command that opens a model of whatever origin. */
export const modelOptions = {
  ...factOptions,
  ...inputOptions,
  keepDecode: flag("--keep-decode", "keep the decoding of boxes that is in the graph"),
  endToEnd: flag(
    "--end2end",
    "of YOLOv10 and 26 checkpoints: the branches that give one box an object, without suppression",
  ),
  ...nameOptions,
};

type NameOptions = OptionsOf<typeof nameOptions>;

type Given = Parameters<typeof knownFacts>[0] & NameOptions;

/**
 * `load` of a path or a name, with the facts that were given, telling of downloads on the terminal. Modules are kept beside the downloaded models,
 * unless `NCNNKIT_MODULES=0` says otherwise.
 */
export async function loadNamed(
  model: string,
  given: Given,
  terminal: Terminal,
  options: LoadOptions = {},
): Promise<Model> {
  const modules = process.env.NCNNKIT_MODULES === "0" ? undefined : moduleFolder();
  const known = { ...(await knownFacts(given)), ...options, offline: given.offline, modules };
  const loaded = await tellingDownloads(terminal, (told) => load(model, { ...known, ...told }));
  if (loaded.fallback !== undefined) warn(terminal, loaded.fallback);
  return loaded;
}

/** `open` of a path or a name, with the facts that were given, telling of downloads on the terminal. */
export async function openNamed(
  model: string,
  given: Given,
  terminal: Terminal,
  options: OpenOptions = {},
): Promise<OpenedModel> {
  const known = { ...(await knownFacts(given)), ...options, offline: given.offline };
  return tellingDownloads(terminal, (told) => open(model, { ...known, ...told }));
}

/** Says what was taken for granted about the model `file`. */
export function warnAssumptions(
  file: string,
  { assumptions }: { readonly assumptions: readonly string[] },
  terminal: Terminal,
): void {
  for (const text of assumptions) warn(terminal, `${file}: ${text}`);
}

/** Characters that are named in a warning, at most. */
const mostNamed = 8;

/** Says which labels cannot be read in pictures that are drawn on this machine. */
export async function warnLetters(labels: readonly string[], terminal: Terminal): Promise<void> {
  const missing = await withoutGlyphs(labels);
  if (!missing.length) return;
  const more = missing.length - mostNamed;
  const named = `${missing.slice(0, mostNamed).join(" ")}${more > 0 ? ` and ${more} more` : ""}`;
  warn(
    terminal,
    `no font on this system has ${named}: drawn labels show other signs instead; install one that has them, such as Noto Sans (Debian: fonts-noto-core, fonts-noto-cjk)`,
  );
}

/** Runs something that may download: notices and a bar of KiB on stderr, which is gone at the end, however that comes. */
export async function tellingDownloads<T>(
  terminal: Terminal,
  run: (told: PullOptions) => Promise<T>,
): Promise<T> {
  const inKib = (bytes: number): number => Math.ceil(bytes / 1024);
  const progress = startProgress(terminal);
  let current = "";
  try {
    return await run({
      onNotice: progress.say,
      onDownload: ({ url, received, total }) => {
        if (total === undefined) return;
        if (current !== url) {
          current = url;
          if (!terminal.live) terminal.err(`fetching ${url}, ${inKib(total)} KiB\n`);
        }
        progress.step(`${url.slice(url.lastIndexOf("/") + 1)}, KiB`, inKib(received), inKib(total));
      },
    });
  } finally {
    progress.stop();
  }
}
