/** A command says its arguments and options once; what `run` gets has the types and values that follow. */
import { Command } from "commander";
import { expect, expectTypeOf, test } from "vitest";
import { choice, command, flag, list, option, register, required } from "../../src/cli/command.ts";
import { numberIn } from "../../src/cli/options.ts";
import type { Terminal } from "../../src/cli/terminal.ts";

const terminal: Terminal = {
  out: () => {},
  err: () => {},
  live: false,
  color: { out: false, err: false },
};

async function runWith(...argv: string[]): Promise<unknown[]> {
  let seen: unknown[] = [];
  const described = command({
    name: "try",
    about: "what is tried",
    arguments: [
      ["<first>", "needed"],
      ["[second]", "may be left out"],
    ],
    options: {
      out: required("-o, --out <dir>", "a folder"),
      most: option("--max-det <n>", "a number", numberIn(1, 10, true), 3),
      size: option("--size <n>", "a number or none", numberIn(1, 10)),
      optimize: flag("--no-optimize", "not"),
      names: list("--names <names...>", "several"),
      kind: choice("--kind <kind>", "one of two", ["a", "b"], "b"),
      other: choice("--other <kind>", "one of two or none", ["a", "b"]),
      text: option("--text <text>", "text"),
    },
    notes: "\nBehind.",
    async run(given, options) {
      expectTypeOf(given).toEqualTypeOf<[string, string | undefined]>();
      expectTypeOf(options).toEqualTypeOf<{
        readonly out: string;
        readonly most: number;
        readonly size: number | undefined;
        readonly optimize: boolean | undefined;
        readonly names: string[] | undefined;
        readonly kind: "a" | "b";
        readonly other: "a" | "b" | undefined;
        readonly text: string | undefined;
      }>();
      seen = [given, options];
    },
  });
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  register(program, described, terminal);
  await program.parseAsync(["try", ...argv], { from: "user" });
  return seen;
}

test("keys are the command's own, defaults are there", async () => {
  expect(await runWith("x", "-o", "d")).toEqual([
    ["x", undefined],
    { out: "d", most: 3, optimize: true, kind: "b" },
  ]);
});

test("values are parsed", async () => {
  const words = ["--max-det", "5", "--size", "2.5", "--no-optimize", "--kind", "a", "--names", "p", "q"];
  expect(await runWith("x", "y", "-o", "d", ...words)).toEqual([
    ["x", "y"],
    { out: "d", most: 5, size: 2.5, optimize: false, kind: "a", names: ["p", "q"] },
  ]);
});

test.each([
  ["without a required option", ["x"], /--out <dir>' not specified/],
  ["with a value that is none of the choices", ["x", "-o", "d", "--kind", "c"], /Allowed choices are a, b/],
  ["with a number out of range", ["x", "-o", "d", "--max-det", "11"], /whole number from 1 to 10/],
])("%s it does not run", async (_, argv, message) => {
  await expect(runWith(...argv)).rejects.toThrow(message);
});
