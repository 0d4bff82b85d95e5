import path from "node:path";
import { expect, test } from "vitest";
import {
  FormatError,
  GraphError,
  InputError,
  inContext,
  NcnnkitError,
  UnsupportedError,
  UsageError,
  withContext,
} from "../../src/base/errors.ts";

const classes = { NcnnkitError, FormatError, GraphError, UnsupportedError, InputError, UsageError };

test.each(Object.entries(classes))(
  "%s says its name, also in its stack, and shows nothing else",
  (name, Class) => {
    const error = new Class("a.param: broken", { cause: 1 });
    expect([error.name, error.message, error.cause]).toEqual([name, "a.param: broken", 1]);
    expect(error.stack).toMatch(new RegExp(`^${name}: a.param: broken\n`));
    expect(Object.keys(error)).toEqual(["exitCode", "where", "problem"]);
    expect(error.exitCode).toBe(name === "UsageError" ? 2 : 1);
  },
);

test("names survive a minifier", async () => {
  const { build } = await import("vite");
  const entry = path.resolve(import.meta.dirname, "../../src/base/errors.ts");
  const built = await build({
    configFile: false,
    logLevel: "silent",
    build: { write: false, minify: true, lib: { entry, formats: ["es"], fileName: "errors" } },
  });
  const [bundle] = [built].flat();
  if (!("output" in bundle)) throw new Error("nothing was built");
  const { code } = bundle.output[0];
  expect(code).not.toMatch(/class (Format|Graph|Input)Error/); // it did rename
  const minified = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as typeof classes;
  for (const name of Object.keys(classes) as (keyof typeof classes)[]) {
    expect(new minified[name]("x").name).toBe(name);
  }
});

test("what an error repeats is visible and cut, also what is put in front of it", () => {
  const error = new FormatError(`found ${"\x1b".repeat(1000)}`);
  expect(error.message).toMatch(/^found (\\u001b)+/);
  expect(error.message.length).toBeLessThan(210);
  withContext("dir\n/a.onnx", error);
  expect(error.message).toMatch(/^dir\\n\/a\.onnx: found /);
  expect(() => inContext("a", () => inContext("b", () => withContext("c", error)))).not.toThrow();
});

test("places are data, put in front in the order in which the error passes them, each once", () => {
  const error = new FormatError("3 values, expected 4");
  for (const place of ["line 7", "line 7", "a.param"]) withContext(place, error);
  expect(error).toMatchObject({ where: ["a.param", "line 7"], problem: "3 values, expected 4" });
  expect(error.message).toBe("a.param: line 7: 3 values, expected 4");
});
