/** Activations: fused, alone, and at the ends of float32. */
import { describe, it } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { conv, describeNetworks, type Network, small } from "./_layers.ts";
import { epsilon, expectClose, floatMachines, graphOf, runEngine } from "./harness.ts";

const activationLayers = [
  "ReLU a 1 1 IN OUT",
  "ReLU a 1 1 IN OUT 0=0.25",
  "Clip a 1 1 IN OUT 0=-0.25 1=0.5",
  "Clip a 1 1 IN OUT 0=0.0 1=6.0",
  "Clip a 1 1 IN OUT 1=0.1",
  "Sigmoid a 1 1 IN OUT",
  "Swish a 1 1 IN OUT",
  "Mish a 1 1 IN OUT",
  "TanH a 1 1 IN OUT",
  "HardSwish a 1 1 IN OUT",
  "HardSigmoid a 1 1 IN OUT 0=0.3 1=0.4",
  "GELU a 1 1 IN OUT 0=1",
];
const activationOf = (line: string, from: string, to: string): string =>
  line.replace("IN", from).replace("OUT", to);

describeNetworks("activation layers", [
  ...activationLayers.flatMap((line): Network[] => [
    {
      title: `fused: ${line}`,
      text: `${conv("c", "x", "p", 13)}\n${activationOf(line, "p", "y")}`,
      shapes: small,
    },
    { title: `alone on a picture: ${line}`, text: activationOf(line, "x", "y"), shapes: small },
    { title: `alone on a vector: ${line}`, text: activationOf(line, "x", "y"), shapes: { x: [13] } },
    {
      title: `beside a second reader: ${line}`,
      text: `${conv("c", "x", "p", 6)}\n${activationOf(line, "p", "q")}\n${conv("d", "p", "r", 6)}\nBinaryOp s 2 1 q r y`,
      shapes: small,
    },
  ]),
  {
    title: "two in a row",
    text: `${conv("c", "x", "p", 7, "1=1 9=4")}\nSwish a 1 1 p q\nTanH b 1 1 q y`,
    shapes: small,
  },
  { title: "on a matrix", text: "Sigmoid a 1 1 x y", shapes: { x: [3, 7] } },
  { title: "exact GELU", text: "GELU a 1 1 x y", shapes: small, inJavaScript: ["GELU"] },
]);

describe("activations at the ends of float32", () => {
  const values = [
    0, -0, 1e-30, -1e-30, 1e-3, 0.5, 1, -1, 3, -3, 8, -8, 19, -19, 21, -21, 60, -60, 87, -87, 89, -89, 200,
    -200, 1e4, -1e4, 1e10, -1e10,
  ];
  it.each(activationLayers)("%s", async (line) => {
    const x: Tensor = { shape: [values.length], data: Float32Array.from(values) };
    const graph = graphOf(activationOf(line, "x", "y"), { x: x.shape });
    const expected = runReference(graph, { x }).y;
    for (const [name, target] of floatMachines) {
      const { outputs } = await runEngine(graph, { x }, target);
      // Far out, 1 + tanh is a difference of nearly equal numbers; GELU multiplies its error by x.
      const slope = line.startsWith("GELU") ? 2 : 0;
      const tolerance = (i: number): number =>
        epsilon * (16 * Math.abs(expected.data[i]) + slope * Math.abs(values[i]) + 2);
      expectClose(outputs.y, expected, tolerance, name);
    }
  });
});
