/** What the official tools have in common: arguments by position, usage on misuse, files by name wherever they are. */
import type { Command } from "commander";
import { readBytes } from "../node/files.ts";
import { type Graph, UsageError } from "../node.ts";
import { inventWeights } from "../official.ts";
import { readNcnn } from "../steps.ts";
import { type Terminal, warn } from "./terminal.ts";

export interface OfficialTool {
  readonly name: string;
  readonly description: string;
  /** The original's usage text; printed when arguments are wrong. */
  readonly usage: string;
  /** What ncnnkit does differently, and examples; for `--help`. */
  readonly help: string;
  /** Whether so many arguments are right. */
  accepts(count: number): boolean;
  run(words: readonly string[], terminal: Terminal): Promise<void>;
}

/** A command that takes the original's arguments. Messages go to stderr, as they do there; stdout stays empty. */
export function officialCommand(tool: OfficialTool): (program: Command, terminal: Terminal) => void {
  return (program, terminal) => {
    program
      .command(tool.name)
      .description(tool.description)
      .argument("[arguments...]", "as the official tool takes them")
      .allowUnknownOption()
      .addHelpText("after", `\n${tool.usage}\n${tool.help}`)
      .action(async (words: string[]) => {
        if (!tool.accepts(words.length)) {
          terminal.err(`${tool.usage}\n`);
          throw new UsageError(`${tool.name}: ${words.length} arguments do not fit its usage`);
        }
        const option = words.find((word) => word.startsWith("-"));
        if (option !== undefined) {
          terminal.err(`${tool.usage}\n`);
          throw new UsageError(`${tool.name}: it has no option ${option}`);
        }
        await tool.run(words, terminal);
      });
  };
}

/** The graph of a `.param` (text or binary) and a `.bin`; `null` as `.bin` is random weights. Throws with the file's name. */
export async function readPair(param: string, bin: string, terminal: Terminal): Promise<Graph> {
  const bytes = await readBytes(param);
  if (bin === "null") return inventWeights(new TextDecoder().decode(bytes), param);
  return readNcnn(bytes, await readBytes(bin), param, bin, (message) =>
    warn(terminal, `${param}: ${message}`),
  );
}
