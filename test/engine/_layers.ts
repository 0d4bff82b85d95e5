/** Small networks of layers on the engine against the reference kernels: what the tests of operators share. */
import { describe, expect, it, test } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import { synthesize } from "../../src/zoo/weights.ts";
import {
  expectClose,
  floatMachines,
  graphOf,
  graphTolerance,
  largest,
  randomInputs,
  referenceTypes,
  runEngine,
} from "./harness.ts";

export interface Network {
  readonly title: string;
  readonly text: string;
  readonly shapes: Record<string, Shape>;
  /** Layers that have no wasm kernel, in order. */
  readonly inJavaScript?: readonly string[];
  readonly outputs?: readonly string[];
}

async function checkNetwork({ text, shapes, inJavaScript = [], outputs }: Network): Promise<void> {
  const graph = graphOf(text, shapes, { seed: text.length });
  const inputs = randomInputs(shapes);
  const blobs = outputs ?? graph.outputs;
  const expected = runReference(graph, inputs, blobs);
  const tolerance = graphTolerance(graph);
  for (const [name, target] of floatMachines) {
    const found = await runEngine(graph, inputs, target, blobs);
    for (const blob of blobs) {
      const size = Math.max(largest(expected[blob]), 1e-3);
      expectClose(found.outputs[blob], expected[blob], () => tolerance * size, `${name}, ${blob}`);
    }
    // Layers may get kernels; none may lose them.
    expect(inJavaScript, name).toEqual(expect.arrayContaining(referenceTypes(found.program)));
  }
}

export function describeNetworks(what: string, networks: readonly Network[]): void {
  describe(what, () => {
    it.each(networks.map((network) => [network.title, network] as const))("%s", async (_, network) => {
      await checkNetwork(network);
    });
  });
}

export const small: Record<string, Shape> = { x: [5, 6, 7] };
export const conv = (name: string, from: string, to: string, outputs: number, rest = "1=1"): string =>
  `Convolution ${name} 1 1 ${from} ${to} 0=${outputs} 5=1 ${rest}`;

/** Inputs of layers. */
export const picture: Record<string, Shape> = { x: [8, 6, 7] };
export const matrix: Record<string, Shape> = { x: [5, 8] };

/** A title, `.param` lines and the inputs' shapes. */
export type Case = readonly [title: string, text: string, shapes: Record<string, Shape>];

/** Layers that have kernels, with weights of a realistic size: close to the reference kernels, none in JavaScript. */
export function testLayers(cases: readonly Case[]): void {
  test.each(cases)("%s", async (_, text, shapes) => {
    const graph = graphOf(text, shapes);
    synthesize(graph, shapes);
    const inputs = randomInputs(shapes);
    const expected = runReference(graph, inputs);
    for (const [name, target] of floatMachines) {
      const found = await runEngine(graph, inputs, target);
      for (const blob of graph.outputs) {
        const size = Math.max(largest(expected[blob]), 1e-3);
        expectClose(found.outputs[blob], expected[blob], () => 1e-5 * size, `${name}, ${blob}`);
      }
      expect(referenceTypes(found.program), name).toEqual([]);
    }
  });
}

/** ShuffleNetV2: `units` of stride 1 after one of stride 2, on `half` channels a branch. */
export function shuffleNet(half: number, units: number): string {
  const lines = [
    conv("stem", "x", "s", half + 1, "1=3 4=1 9=1"),
    `ConvolutionDepthWise d0 1 1 s a0 0=${half + 1} 7=${half + 1} 1=3 3=2 4=1`,
    conv("l0", "a0", "b0", half, "1=1 9=1"),
    conv("r0", "s", "c0", half, "1=1 9=1"),
    `ConvolutionDepthWise e0 1 1 c0 f0 0=${half} 7=${half} 1=3 3=2 4=1 5=1`,
    conv("t0", "f0", "g0", half, "1=1 9=1"),
    "Concat k0 2 1 b0 g0 h0",
    "ShuffleChannel u0 1 1 h0 o0 0=2",
  ];
  for (let i = 1; i <= units; i++) {
    const split =
      i % 2
        ? [`Slice z${i} 1 2 o${i - 1} m${i} n${i} -23300=2,${half},-233`]
        : [
            `Crop y${i} 1 1 o${i - 1} m${i} -23309=1,0 -23310=1,${half} -23311=1,0`,
            `Crop z${i} 1 1 o${i - 1} n${i} -23309=1,${half} -23310=1,-233 -23311=1,0`,
          ];
    lines.push(
      ...split,
      conv(`r${i}`, `n${i}`, `c${i}`, half, "1=1 9=1"),
      `ConvolutionDepthWise e${i} 1 1 c${i} f${i} 0=${half} 7=${half} 1=3 4=1 5=1`,
      conv(`t${i}`, `f${i}`, `g${i}`, half, "1=1 9=1"),
      `Concat k${i} 2 1 m${i} g${i} h${i}`,
      `ShuffleChannel u${i} 1 1 h${i} o${i} 0=2`,
    );
  }
  return `${lines.join("\n")}\n${conv("end", `o${units}`, "y", 5, "1=3 4=1")}`;
}
