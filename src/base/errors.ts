import { message as printed } from "./text.ts";

/**
 * The few error classes of the kit. A message names what, where, what was found, what was expected and what to do;
 * the command line prints it as it is and exits with `exitCode`. Anything else that is thrown is a defect.
 */
export class NcnnkitError extends Error {
  /** Process exit status when this reaches the command line: 1 failed, 2 misused. */
  readonly exitCode: 1 | 2 = 1;
  /** The places that it was passed through, outermost first: `a.param`, `line 3`. The message begins with them. */
  readonly where: readonly string[] = [];
  /** What is wrong, without the places. */
  readonly problem: string;
  /** The message as one line that is safe to show: what it repeats of a file or an argument is made visible and cut. */
  constructor(message: string, options?: ErrorOptions) {
    super(printed(message), options);
    this.problem = message;
  }

  /** Puts a place in front, once: rules that run inside each other may each name the place where they are, as may the problem. */
  addWhere(place: string): void {
    if (this.where[0] === place) return;
    if (
      this.where.length === 0 &&
      /^[:/]/.test(this.problem.slice(place.length)) &&
      this.problem.startsWith(place)
    ) {
      return;
    }
    (this as { where: readonly string[] }).where = [place, ...this.where];
    this.message = printed([...this.where, this.problem].join(": "));
  }
}

/** Bytes or text that are not what the format says. */
export class FormatError extends NcnnkitError {}

/** A graph that breaks a rule: shapes that do not fit, missing blobs, cycles, wrong weight counts. */
export class GraphError extends NcnnkitError {}

/** A valid input that asks for something the kit does not do. Never a silent wrong answer instead. */
export class UnsupportedError extends NcnnkitError {}

/** A file, URL, picture or folder that cannot be read or written. */
export class InputError extends NcnnkitError {}

/** Wrong options or arguments. */
export class UsageError extends NcnnkitError {
  override readonly exitCode = 2;
}

// Written as texts: a minifier renames the classes, not the keys.
const classes = { NcnnkitError, FormatError, GraphError, UnsupportedError, InputError, UsageError };
for (const [name, { prototype }] of Object.entries(classes)) {
  Object.defineProperty(prototype, "name", { value: name, configurable: true, writable: true });
}

/** An error of one of these classes, by its name: classes are lost between threads. Nothing for other names. */
export function errorNamed(name: string, message: string): NcnnkitError | undefined {
  const known = Object.entries(classes).find(([key]) => key === name)?.[1];
  return known && new known(message);
}

/** A message with the place put in front, keeping the class of the error: `a.param: line 3: …`. */
export function withContext(where: string, error: unknown): unknown {
  if (error instanceof NcnnkitError) error.addWhere(where);
  return error;
}

/** What `run` gives, with the place put in front of an error. */
export function inContext<T>(where: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw withContext(where, error);
  }
}
