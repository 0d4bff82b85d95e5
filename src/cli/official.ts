/** What the official tools have in common: arguments by position, usage on misuse, files by name wherever they are. */
import { readBytes } from "../node/files.ts";
import { writePaths } from "../node/write.ts";
import { type Graph, UsageError } from "../node.ts";
import { inventWeights } from "../official.ts";
import { printParam, readNcnn, writeWeights } from "../steps.ts";
import { command } from "./command.ts";
import { type Terminal, warn } from "./terminal.ts";

export interface OfficialTool {
  readonly name: string;
  /** What it does, behind `official tool:`. */
  readonly about: string;
  /** The original's usage text; printed when arguments are wrong. */
  readonly usage: string;
  /** What ncnnkit does differently, and examples; for `--help`. */
  readonly notes: string;
  /** Whether so many arguments are right. */
  accepts(count: number): boolean;
  run(words: readonly string[], terminal: Terminal): Promise<void>;
}

/** A command that takes the original's arguments. Messages go to stderr, as they do there; stdout stays empty. */
export const officialCommand = ({ name, about, usage, notes, accepts, run }: OfficialTool) =>
  command({
    name,
    about: `official tool: ${about}`,
    arguments: [["[arguments...]", "as the official tool takes them"]],
    options: {},
    notes: `\n${usage}\n${notes}`,
    takesUnknown: true,
    async run([words], _, terminal) {
      const strange = words.find((word) => word.startsWith("-"));
      if (accepts(words.length) && strange === undefined) return run(words, terminal);
      terminal.err(`${usage}\n`);
      throw new UsageError(
        accepts(words.length)
          ? `${name}: it has no option ${strange}`
          : `${name}: ${words.length} arguments do not fit its usage`,
      );
    },
  });

/** The graph of a `.param` (text or binary) and a `.bin`; `null` as `.bin` is random weights. Throws with the file's name. */
export async function readPair(param: string, bin: string, terminal: Terminal): Promise<Graph> {
  const bytes = await readBytes(param);
  if (bin === "null") return inventWeights(new TextDecoder().decode(bytes), param);
  return readNcnn(bytes, await readBytes(bin), param, bin, (message) =>
    warn(terminal, `${param}: ${message}`),
  );
}

/** Writes a graph as `.param` text and `.bin`, both or neither. */
export const writePair = (param: string, bin: string, graph: Graph): Promise<void> =>
  writePaths([
    [param, printParam(graph)],
    [bin, writeWeights(graph)],
  ]);
