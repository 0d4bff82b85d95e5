import { conv, describeNetworks, type Network, small } from "./_layers.ts";

describeNetworks("resizing", [
  ...[
    "0=1 1=2.0 2=2.0",
    "0=1 1=3.0 2=1.0",
    "0=1 3=12 4=21",
    "0=2 1=2.0 2=2.0",
    "0=2 1=1.5 2=2.5",
    "0=2 3=3 4=4",
    "0=2 3=13 4=5",
    "0=2 3=12 4=14 6=1",
    "0=2 3=1 4=1",
    "0=2 3=6 4=7",
  ]
    .flatMap((how): Network[] => [
      { title: `${how}`, text: `Interp u 1 1 x y ${how}`, shapes: small },
      {
        title: `${how}, between convolutions`,
        text: `${conv("c", "x", "p", 6)}\nInterp u 1 1 p q ${how}\n${conv("d", "q", "y", 3, "1=3 4=1")}`,
        shapes: small,
      },
      {
        title: `${how}, of one pixel`,
        text: `${conv("c", "x", "p", 6)}\nInterp u 1 1 p y ${how}`,
        shapes: { x: [5, 1, 1] },
      },
    ])
    .filter(({ title }) => !(title.includes("one pixel") && title.includes("6=1"))),
  {
    title: "nearest by a broken factor",
    text: "Interp u 1 1 x y 0=1 1=1.5 2=1.5",
    shapes: small,
    inJavaScript: ["Interp"],
  },
  {
    title: "nearest, smaller",
    text: "Interp u 1 1 x y 0=1 3=3 4=3",
    shapes: small,
    inJavaScript: ["Interp"],
  },
  { title: "bicubic", text: "Interp u 1 1 x y 0=3 1=2.0 2=2.0", shapes: small, inJavaScript: ["Interp"] },
  {
    title: "size of another blob",
    text: `${conv("c", "z", "p", 3)}\nInterp u 2 1 x p y 0=2 5=1`,
    shapes: { x: [5, 3, 4], z: [2, 7, 9] },
  },
]);
