/** The facts of a model manifest as a C++11 header, for programs that run the model with native ncnn. */
import type { Manifest } from "../ir/manifest.ts";

/**
 * Text of `NAME.h`: one namespace `NAME_model` of constants, with include guard; needs no other header. Labels and names
 * are escaped, so any manifest gives a header that compiles.
 */
export function manifestHeader(manifest: Manifest): string {
  const { name, input, heads, labels } = manifest;
  const id = identifier(name);
  const guard = `${id.toUpperCase()}_MODEL_H`;
  const pixelNumber = { RGB: 1, BGR: 2, GRAY: 3 }[input.pixel];
  const lines = [
    `// ${comment(name)}: what a program needs to know beside ${comment(manifest.param)} and ${comment(manifest.bin)}.`,
    `// Written by ${comment(manifest.provenance.tool)} from the model manifest; do not edit.`,
    `#ifndef ${guard}`,
    `#define ${guard}`,
    "",
    `namespace ${id}_model {`,
    "",
    constant("char* const", "param_file", quote(manifest.param)),
    constant("char* const", "bin_file", quote(manifest.bin)),
    "",
    ...inputLines(input, pixelNumber),
    ...headLines(heads, labels.length),
    ...(labels.length ? list("char* const", "class_names", labels.map(quote)) : []),
    "",
    `} // namespace ${id}_model`,
    "",
    `#endif // ${guard}`,
  ];
  return `${lines.join("\n")}\n`;
}

function inputLines(input: Manifest["input"], pixelNumber: number): string[] {
  const resize =
    input.resize === "letterbox"
      ? `// Keep the aspect: scale by min(width / w, height / h), center, fill the border with letterbox_color.`
      : "// Stretch to width x height.";
  return [
    resize,
    constant("char* const", "input_blob", quote(input.blob)),
    constant("int", "input_width", String(input.width)),
    constant("int", "input_height", String(input.height)),
    `// Other sizes must be multiples of this.`,
    constant("int", "input_stride", String(input.stride)),
    constant("int", "input_channels", String(input.channels)),
    constant("float", "letterbox_color", float(input.letterboxColor)),
    `// ncnn::Mat::PIXEL_${input.pixel}: pass PIXEL_<yours>2${input.pixel} to from_pixels if your pixels differ.`,
    constant("int", "input_pixel_type", String(pixelNumber)),
    "// For ncnn::Mat::substract_mean_normalize(mean_vals, norm_vals): (level - mean) * norm.",
    ...list("float", "mean_vals", input.mean.map(float)),
    ...list("float", "norm_vals", input.norm.map(float)),
    "",
  ];
}

function headLines(heads: Manifest["heads"], labels: number): string[] {
  const count = [
    constant("int", "num_class", String(labels)),
    constant("int", "num_heads", String(heads.length)),
  ];
  if (!heads.length) return count;
  const most = Math.max(...heads.map((head) => head.anchors.length));
  const rows = heads.map(
    (head) =>
      `{${quote(head.blob)}, ${head.stride}, ${head.anchors.length / 2}, {${head.anchors.map(float).join(", ")}}}`,
  );
  return [
    "// Every head blob has w = 5 + num_class logits (x y w h objectness classes), h = grid cells, row by row, c = anchors:",
    "//   center = (2 * sigmoid(xy) - 0.5 + cell) * stride,   size = (2 * sigmoid(wh))^2 * anchor,",
    "//   score = sigmoid(objectness) * sigmoid(class), all in pixels of the network's input.",
    "struct Head {",
    "    const char* blob;",
    "    int stride;",
    "    int num_anchors;",
    `    float anchors[${most}]; // w0 h0 w1 h1 ...`,
    "};",
    ...list("Head", "heads", rows),
    ...count,
  ];
}

function constant(type: string, name: string, value: string): string {
  return `static const ${type} ${name} = ${value};`;
}

function list(type: string, name: string, items: string[]): string[] {
  const flat = `static const ${type} ${name}[${items.length}] = {${items.join(", ")}};`;
  if (flat.length <= 100) return [flat];
  return [`static const ${type} ${name}[${items.length}] = {`, ...items.map((item) => `    ${item},`), "};"];
}

/** A C identifier that is no reserved word once `_model` is put behind it. */
function identifier(name: string): string {
  const id = name.replaceAll(/[^A-Za-z0-9]+/g, "_").replaceAll(/^_|_$/g, "");
  return /^[A-Za-z]/.test(id) ? id : `m${id && `_${id}`}`;
}

/** A float literal with the digits that binary32 needs. Values beyond its range become its largest or smallest number. */
function float(value: number): string {
  const limited = Math.min(Math.max(value, -3.4028234e38), 3.4028234e38);
  const digits = String(Number(Math.fround(limited).toPrecision(9)));
  return `${/[.e]/.test(digits) ? digits : `${digits}.`}f`;
}

/** A string literal of the UTF-8 bytes; all but plain ASCII as octal, which also keeps trigraphs and quotes out. */
function quote(text: string): string {
  let out = "";
  for (const byte of new TextEncoder().encode(text)) {
    const plain = byte >= 32 && byte < 127 && byte !== 34 && byte !== 92 && byte !== 63;
    out += plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
  }
  return `"${out}"`;
}

/** Text that cannot end a line comment early or continue it onto the next line. */
function comment(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]|[\\?]/g, "_");
}
