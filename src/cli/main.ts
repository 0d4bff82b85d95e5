/** The command line: parses arguments, runs a command, turns errors into one line and an exit status. */
import { Command, CommanderError } from "commander";
import { NcnnkitError, version } from "../index.ts";
import { localPath } from "../node/local.ts";
import { benchCommand } from "./bench.ts";
import { benchncnnCommand } from "./benchncnn.ts";
import { calibrateCommand } from "./calibrate.ts";
import { compareCommand } from "./compare.ts";
import { convertCommand } from "./convert.ts";
import { deployCommand } from "./deploy.ts";
import { detectCommand } from "./detect.ts";
import { evalCommand } from "./eval.ts";
import { exportCommand } from "./export.ts";
import { inspectCommand } from "./inspect.ts";
import { ncnn2int8Command } from "./ncnn2int8.ts";
import { ncnn2memCommand } from "./ncnn2mem.ts";
import { ncnn2tableCommand } from "./ncnn2table.ts";
import { ncnnmergeCommand } from "./ncnnmerge.ts";
import { ncnnoptimizeCommand } from "./ncnnoptimize.ts";
import { onnx2ncnnCommand } from "./onnx2ncnn.ts";
import { profileCommand } from "./profile.ts";
import { pullCommand } from "./pull.ts";
import { quantizeCommand } from "./quantize.ts";
import { servePageCommand } from "./serve-page.ts";
import { simplifyCommand } from "./simplify.ts";
import { guarded, processTerminal, type Terminal } from "./terminal.ts";

/** Adds one command to the program; in the order in which help lists them. */
const commands: readonly ((program: Command, terminal: Terminal) => void)[] = [
  detectCommand,
  convertCommand,
  deployCommand,
  calibrateCommand,
  quantizeCommand,
  evalCommand,
  inspectCommand,
  benchCommand,
  profileCommand,
  compareCommand,
  exportCommand,
  simplifyCommand,
  pullCommand,
  // The official tools, argument for argument.
  onnx2ncnnCommand,
  ncnnoptimizeCommand,
  ncnn2tableCommand,
  ncnn2int8Command,
  ncnnmergeCommand,
  ncnn2memCommand,
  benchncnnCommand,
  servePageCommand,
];

/**
 * Runs `ncnnkit ARGV…` and gives the exit status: 0 done, 1 failed, 2 misused.
 * Results go to stdout, everything else to stderr. A defect of the kit itself shows its stack; a bad input does not,
 * unless `--debug` is given.
 */
export async function main(argv: readonly string[], screen: Terminal = processTerminal()): Promise<number> {
  const terminal = guarded(screen);
  const program = buildProgram(terminal);
  try {
    await program.parseAsync(
      argv.map((word) => localPath(word)),
      { from: "user" },
    );
    return 0;
  } catch (error) {
    if (error instanceof CommanderError)
      return error.code === "commander.helpDisplayed" || error.code === "commander.version" ? 0 : 2;
    terminal.err(`error: ${describe(error, argv.includes("--debug"))}\n`);
    return error instanceof NcnnkitError ? error.exitCode : 1;
  }
}

function buildProgram(terminal: Terminal): Command {
  const program = new Command("ncnnkit")
    .description("From a YOLOv5-family checkpoint to ncnn models and boxes, in plain JavaScript.")
    .version(version, "-V, --version", "print the version")
    .option("--debug", "show the stack of errors")
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      getOutHasColors: () => terminal.color.out,
      getErrHasColors: () => terminal.color.err,
    })
    .showHelpAfterError("(--help lists the options)")
    .exitOverride();
  for (const add of commands) add(program, terminal);
  for (const command of program.commands) command.option("--debug", "show the stack of errors");
  return program;
}

function describe(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return String(error);
  if (debug) return error.stack ?? error.message;
  if (error instanceof NcnnkitError) return error.message;
  return `${error.message}\nThis is a defect of ncnnkit, please report it with the output of the same command with --debug.`;
}
