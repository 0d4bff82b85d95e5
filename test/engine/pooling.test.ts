/** Pooling. */
import { expect, test } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { conv, describeNetworks, type Network, small } from "./_layers.ts";
import { floatMachines, graphOf, runEngine } from "./harness.ts";

const poolings = [
  "1=2 2=2",
  "1=3 2=2 3=1",
  "1=3 2=1 3=1",
  "1=5 2=1 3=2",
  "1=3 11=2 2=2 12=1 3=1 13=0",
  "1=2 2=3 3=0 14=1 13=1 15=0",
  "1=13 2=1 3=6",
];
describeNetworks("pooling", [
  ...poolings.flatMap((window) =>
    [0, 1].flatMap((type) =>
      [0, 1, 2, 3].flatMap((mode) =>
        (type ? [0, 1] : [0]).map(
          (include): Network => ({
            title: `${type ? "average" : "max"} ${window}, pad mode ${mode}${include ? ", pads count" : ""}`,
            text: `${conv("c", "x", "p", 7)}\nPooling f 1 1 p y 0=${type} ${window} 5=${mode} 6=${include}`,
            shapes: { x: [3, 8, window.includes("1=13") ? 14 : 9] },
            // Averages that leave out pads beside SAME, or that are over nothing.
            ...(type && !include && (mode > 1 || window.includes("2=3")) && { inJavaScript: ["Pooling"] }),
          }),
        ),
      ),
    ),
  ),
  ...[1, 4, 13].flatMap((channels) =>
    [0, 1].map(
      (type): Network => ({
        title: `global, type ${type}, ${channels} channels`,
        text: `Pooling f 1 1 x y 0=${type} 4=1`,
        shapes: { x: [channels, 5, 3] },
      }),
    ),
  ),
  {
    title: "global, into a fully connected layer",
    text: `${conv("c", "x", "p", 13)}\nPooling f 1 1 p q 0=1 4=1\nInnerProduct i 1 1 q y 0=10 1=1`,
    shapes: small,
  },
  {
    title: "average, then activation",
    text: `${conv("c", "x", "p", 6)}\nPooling f 1 1 p q 0=1 1=3 2=1 3=1 5=1\nSwish a 1 1 q y`,
    shapes: small,
  },
  {
    title: "spatial pyramid",
    text: `${conv("c", "x", "p", 6)}\nPooling f 1 1 p q 0=0 1=5 2=1 3=2 5=1\nPooling g 1 1 p r 0=0 1=9 2=1 3=4 5=1\nPooling h 1 1 p s 0=0 1=13 2=1 3=6 5=1\nConcat k 4 1 p q r s m\n${conv("d", "m", "y", 5)}`,
    shapes: { x: [5, 7, 8] },
  },
  { title: "adaptive", text: "Pooling f 1 1 x y 0=1 7=1 8=3 18=2", shapes: small, inJavaScript: ["Pooling"] },
]);

test("a last window that hangs over begins a whole stride on", async () => {
  const shapes = { x: [1, 1, 4] };
  const graph = graphOf("Pooling p 1 1 x y 0=0 1=3 11=1 2=2 12=1 5=0", shapes);
  const inputs = { x: { shape: shapes.x, data: Float32Array.of(4, 3, 1, 2) } };
  const { outputs } = await runEngine(graph, inputs, floatMachines[0][1]);
  for (const { y } of [outputs, runReference(graph, inputs)]) expect([...y.data]).toEqual([4, 2]);
});
