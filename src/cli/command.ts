/** What a command is: a value that says its arguments and options, from which their types, the parsing and the help follow. */
import { Option, type Command as Program } from "commander";
import type { Terminal } from "./terminal.ts";
import { chooseWideVectors } from "./wide-vectors.ts";

/** An option, and how its value is found among those that commander parsed. */
export interface OptionOf<T> {
  readonly option: Option;
  read(values: Readonly<Record<string, unknown>>): T;
}

function typed<T>(option: Option): OptionOf<T> {
  const name = option.attributeName();
  return { option, read: (values) => values[name] as T };
}

/** An option without a value. `--no-thing` is true where it is not given. */
export const flag = (flags: string, about: string): OptionOf<boolean | undefined> =>
  typed(new Option(flags, about));

/** Turns the text of a value into what it means; told what the same option gave before. Throws InvalidArgumentError. */
type Parse<T> = (text: string, before: T | undefined) => T;

/** An option with a value: a text, or what `parse` makes of it. */
export function option(flags: string, about: string): OptionOf<string | undefined>;
export function option<T>(flags: string, about: string, parse: Parse<T>): OptionOf<T | undefined>;
export function option<T>(flags: string, about: string, parse: Parse<T>, value: T): OptionOf<T>;
export function option(
  flags: string,
  about: string,
  parse?: Parse<unknown>,
  value?: unknown,
): OptionOf<unknown> {
  const made = new Option(flags, about).default(value);
  return typed(parse ? made.argParser(parse) : made);
}

/** An option whose value may be left out, which is then `bare`: `--track [method]`. */
export const optional = <T>(
  flags: string,
  about: string,
  bare: string,
  parse: Parse<T>,
): OptionOf<T | undefined> => typed(new Option(flags, about).preset(bare).argParser(parse));

/** An option that has to be given. */
export const required = (flags: string, about: string): OptionOf<string> =>
  typed(new Option(flags, about).makeOptionMandatory());

/** An option with several values: `--names <names...>`. */
export const list = (flags: string, about: string): OptionOf<string[] | undefined> =>
  typed(new Option(flags, about));

/** An option with one of a few values. */
export function choice<const T extends string>(
  flags: string,
  about: string,
  choices: readonly T[],
): OptionOf<T | undefined>;
export function choice<const T extends string>(
  flags: string,
  about: string,
  choices: readonly T[],
  value: NoInfer<T>,
): OptionOf<T>;
export function choice(
  flags: string,
  about: string,
  choices: readonly string[],
  value?: string,
): OptionOf<unknown> {
  return typed(new Option(flags, about).choices(choices).default(value));
}

type Options = Readonly<Record<string, OptionOf<unknown>>>;
/** What `run` gets of the options that a command describes. */
export type OptionsOf<O extends Options> = { readonly [K in keyof O]: ReturnType<O[K]["read"]> };

type Arguments = readonly (readonly [name: string, about: string])[];
type ArgumentOf<Name> = Name extends `${string}...${string}`
  ? string[]
  : Name extends `[${string}`
    ? string | undefined
    : string;
type ArgumentsOf<A extends Arguments> = { -readonly [K in keyof A]: ArgumentOf<A[K][0]> };

export interface Command<A extends Arguments = Arguments, O extends Options = Options> {
  readonly name: string;
  readonly about: string;
  /** In order: `<needed>`, `[optional]` or `<several...>`, each with what help says of it. */
  readonly arguments: A;
  /** In the order of help; keys are the names that `run` knows them by. */
  readonly options: O;
  /** Notes and examples, at the end of help. */
  readonly notes: string;
  /** Options that are not described come as arguments. */
  readonly takesUnknown?: boolean;
  run(given: ArgumentsOf<A>, options: OptionsOf<O>, terminal: Terminal): Promise<void>;
}

/** A command, with the types of what it is run with. */
export const command = <const A extends Arguments, O extends Options>(
  described: Command<A, O>,
): Command<A, O> => described;

/** Adds a command to the program. */
export function register(program: Program, described: Command, terminal: Terminal): void {
  const added = program.command(described.name).description(described.about);
  for (const [name, about] of described.arguments) added.argument(name, about);
  for (const { option } of Object.values(described.options)) added.addOption(option);
  added
    .allowUnknownOption(described.takesUnknown ?? false)
    .addHelpText("after", described.notes)
    .action(async () => {
      const values = added.opts();
      const options: OptionsOf<Options> = Object.fromEntries(
        Object.entries(described.options).map(([key, { read }]) => [key, read(values)]),
      );
      await chooseWideVectors(options.wideVectors, terminal);
      await described.run(added.processedArgs, options, terminal);
    });
}
