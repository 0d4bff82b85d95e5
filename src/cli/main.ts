/** The command line: parses arguments, runs a command, turns errors into one line and an exit status. */
import { Command, CommanderError } from "commander";
import { NcnnkitError, version } from "../index.ts";
import { localPath } from "../node/local.ts";
import { bench } from "./bench.ts";
import { benchncnn } from "./benchncnn.ts";
import { calibrate } from "./calibrate.ts";
import { type Command as Described, register } from "./command.ts";
import { compare } from "./compare.ts";
import { compileCommand } from "./compile.ts";
import { convertCommand } from "./convert.ts";
import { deployCommand } from "./deploy.ts";
import { detect } from "./detect.ts";
import { evaluate } from "./eval.ts";
import { exportCommand } from "./export.ts";
import { inspect } from "./inspect.ts";
import { jobs } from "./jobs.ts";
import { ncnn2int8Command } from "./ncnn2int8.ts";
import { ncnn2mem } from "./ncnn2mem.ts";
import { ncnn2tableCommand } from "./ncnn2table.ts";
import { ncnnmerge } from "./ncnnmerge.ts";
import { ncnnoptimizeCommand } from "./ncnnoptimize.ts";
import { onnx2ncnn } from "./onnx2ncnn.ts";
import { profileCommand } from "./profile.ts";
import { pull } from "./pull.ts";
import { quantize } from "./quantize.ts";
import { serveCommand } from "./serve.ts";
import { servePageCommand } from "./serve-page.ts";
import { simplify } from "./simplify.ts";
import { guarded, processTerminal, type Terminal } from "./terminal.ts";
import { worker } from "./worker.ts";

/** In the order in which help lists them. */
const commands: readonly Described[] = [
  detect,
  convertCommand,
  deployCommand,
  calibrate,
  quantize,
  evaluate,
  inspect,
  bench,
  profileCommand,
  compare,
  exportCommand,
  compileCommand,
  simplify,
  pull,
  // The official tools, argument for argument.
  onnx2ncnn,
  ncnnoptimizeCommand,
  ncnn2tableCommand,
  ncnn2int8Command,
  ncnnmerge,
  ncnn2mem,
  benchncnn,
  serveCommand,
  servePageCommand,
  worker,
  jobs,
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
  for (const each of commands) register(program, each, terminal);
  for (const command of program.commands) command.option("--debug", "show the stack of errors");
  return program;
}

function describe(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return String(error);
  if (debug) return error.stack ?? error.message;
  if (error instanceof NcnnkitError) return error.message;
  return `${error.message}\nThis is a defect of ncnnkit, please report it with the output of the same command with --debug.`;
}
