/** Every operator's reference kernel against native ncnn, and against its own shape rule. */
import { describe, expect, it } from "vitest";
import { resolveParams } from "../../src/ir/op.ts";
import { sameShape, type Tensor } from "../../src/ir/tensor.ts";
import { ops } from "../../src/ops/index.ts";
import { type Case, loadCases } from "./_cases.ts";

const cases = loadCases();

/** The outputs of a case's layer, and what its shape rule says of them. */
function run({ graph, inputs }: Case): { results: Tensor[]; shapes: readonly (readonly number[])[] } {
  const node = graph.node("layer")!;
  const op = ops.get(node.type)!;
  const p = resolveParams(op, node.params);
  const shapes = op.shape(
    inputs.map((input) => input.shape),
    p,
    node.outputs.length,
  );
  return { results: op.reference(inputs, p, node.weights, shapes), shapes };
}

/** What is wrong with a result, or undefined. */
function difference(result: Tensor, expected: Tensor, tolerance: number): string | undefined {
  if (!sameShape(result.shape, expected.shape)) return `shape [${result.shape}], native [${expected.shape}]`;
  let largest = 1;
  for (const x of expected.data) if (Math.abs(x) > largest) largest = Math.abs(x);
  let worst = 0;
  let at = -1;
  for (let i = 0; i < expected.data.length; i++) {
    if (Object.is(result.data[i], expected.data[i])) continue; // NaN is equal to NaN here
    const error = Math.abs(result.data[i] - expected.data[i]);
    if (!(error <= worst)) [worst, at] = [error, i];
  }
  if (worst <= tolerance * largest) return undefined;
  return `[${at}] is ${result.data[at]}, native ${expected.data[at]}; error ${(worst / largest).toExponential(1)} > ${tolerance}`;
}

describe("reference kernels against native ncnn", () => {
  const types = [...new Set(cases.map((c) => c.type))];
  it.each(types)("%s", (type) => {
    const wrong: string[] = [];
    for (const c of cases.filter((one) => one.type === type)) {
      try {
        const { results } = run(c);
        expect(results.length).toBe(c.expected.length);
        results.forEach((result, i) => {
          const what = difference(result, c.expected[i], c.tolerance);
          if (what) wrong.push(`${c.title}: ${what}`);
        });
      } catch (error) {
        wrong.push(`${c.title}: ${error}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe("shape rules", () => {
  it("agree with the shapes of the results", () => {
    const wrong: string[] = [];
    for (const c of cases) {
      const { results, shapes } = run(c);
      const dynamic = ops.get(c.type)!.dynamicRows;
      results.forEach(({ shape, data }, i) => {
        const fits = dynamic
          ? shape[0] <= shapes[i][0] && sameShape(shape.slice(1), shapes[i].slice(1))
          : sameShape(shape, shapes[i]);
        const count = shape.reduce((a, b) => a * b, 1);
        if (!fits || count !== data.length)
          wrong.push(`${c.title}: [${shape}] (${data.length}), rule [${shapes[i]}]`);
      });
    }
    expect(wrong).toEqual([]);
  });
});
