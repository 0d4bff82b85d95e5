/** What is wrong with JSON that is none, or does not fit its schema, in one line. */
import type * as z from "zod/mini";
import { FormatError } from "./errors.ts";
import { brief } from "./text.ts";

/** `JSON.parse` of a file's text. Throws FormatError with `where`, its name. */
export function parseJson(
  text: string,
  where: string,
  reviver?: (key: string, value: unknown) => unknown,
): unknown {
  try {
    return JSON.parse(text, reviver);
  } catch (error) {
    throw new FormatError(
      `${where}: not JSON: ${brief(String(error instanceof Error ? error.message : error))}`,
    );
  }
}

/**
 * `input.mean: found [0,0], expected 3 numbers, one per channel`. `whole` is what the JSON is called, `own` says what is expected where
 * the format knows better than its schema.
 */
export function describeIssue(
  issue: z.core.$ZodIssue,
  json: unknown,
  whole: string,
  own: (issue: z.core.$ZodIssue) => string | undefined = () => undefined,
): string {
  const path = issue.path.map((step, i) =>
    typeof step === "number" ? `[${step}]` : `${i ? "." : ""}${String(step)}`,
  );
  const at = path.join("") || whole;
  if (issue.code === "unrecognized_keys") {
    return `${at}: unknown field ${issue.keys.map((key) => JSON.stringify(key)).join(", ")}; remove it, or correct its name`;
  }
  let found = json;
  for (const step of issue.path) {
    found =
      typeof found === "object" && found !== null ? (found as Record<PropertyKey, unknown>)[step] : undefined;
  }
  return `${at}: found ${show(found)}, expected ${own(issue) ?? expectation(issue)}`;
}

function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const json = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? typeof value);
  return json.length > 80 ? `${json.slice(0, 77)}...` : json;
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.expected === "int"
        ? "a whole number"
        : `${/^[aeiou]/.test(issue.expected) ? "an" : "a"} ${issue.expected}`;
    case "invalid_value":
      return issue.values.map((value) => JSON.stringify(value)).join(" or ");
    case "too_small":
      return `${issue.inclusive ? "at least" : "more than"} ${issue.minimum}${sizeUnit(issue.origin)}`;
    case "too_big":
      return `${issue.inclusive ? "at most" : "less than"} ${issue.maximum}${sizeUnit(issue.origin)}`;
    default:
      return issue.message;
  }
}

function sizeUnit(origin: string): string {
  return origin === "string" ? " characters" : origin === "array" ? " entries" : "";
}
