/** The facts of a model manifest as a C++11 header, for programs that run the model with native ncnn. */
import { constant, float, list, quote } from "../heads/cpp.ts";
import { cppHeads } from "../heads/index.ts";
import type { Manifest } from "../heads/manifest.ts";

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
  const resize = {
    letterbox: `// Keep the aspect: scale by min(width / w, height / h), ${input.letterboxAlign === "corner" ? "put it at the left top" : "center"}, fill the border with letterbox_color.`,
    stretch: "// Stretch to width x height.",
    crop: "// Keep the aspect: scale by max(width / w, height / h), cut out the middle.",
  };
  return [
    resize[input.resize],
    ...(input.antialias ? ["// Shrink by averaging over all pixels, as Pillow's BILINEAR does."] : []),
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
  const { comment, members, rows } = cppHeads(heads);
  return [
    ...comment.map((line) => `// ${line}`),
    "struct Head {",
    ...members.map((member) => `    ${member}`),
    "};",
    ...list("Head", "heads", rows),
    ...count,
  ];
}

/** A C identifier that is no reserved word once `_model` is put behind it. */
function identifier(name: string): string {
  const id = name.replaceAll(/[^A-Za-z0-9]+/g, "_").replaceAll(/^_|_$/g, "");
  return /^[A-Za-z]/.test(id) ? id : `m${id && `_${id}`}`;
}

/** Text that cannot end a line comment early or continue it onto the next line. */
function comment(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]|[\\?]/g, "_");
}
