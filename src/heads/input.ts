/** How pictures become a network's input. */
import * as z from "zod/mini";
import { expectKind } from "../base/arguments.ts";

/** How a picture becomes the input tensor `[channels, height, width]`. */
export interface ModelInput {
  /** Name of the graph's input blob. */
  blob: string;
  /** Size in pixels that the model is run at by default; multiples of `stride`. */
  width: number;
  height: number;
  /** Sizes other than the default must be multiples of this: the largest stride of a head. */
  stride: number;
  channels: 1 | 3;
  pixel: "RGB" | "BGR" | "GRAY";
  /** `value = (level − mean[c]) · norm[c]` for 8-bit levels 0..255; channels in `pixel` order; one number per channel. */
  mean: number[];
  norm: number[];
  /** `letterbox` keeps the aspect and fills the border; `crop` keeps it and cuts out the middle; `stretch` does not keep it. */
  resize: "letterbox" | "stretch" | "crop";
  /** Shrinking averages over all pixels, as Pillow does it, instead of the nearest ones, as OpenCV does; default false. */
  antialias?: boolean;
  /** Level 0..255 of the border, the same for all channels. */
  letterboxColor: number;
  /** Where the picture lies in the letterbox: `center` (default), or at the left top `corner`. */
  letterboxAlign?: "center" | "corner";
}

/** Pre-processing without the facts of the graph. */
export type Preprocessing = Pick<
  ModelInput,
  "pixel" | "mean" | "norm" | "resize" | "antialias" | "letterboxColor" | "letterboxAlign"
>;

/** Rules of its fields where it is written down. */
export const preprocessingFields = {
  pixel: z.enum(["RGB", "BGR", "GRAY"]),
  mean: z.array(z.number()),
  norm: z.array(z.number().check(z.refine((value) => value !== 0, { error: "a number other than 0" }))),
  resize: z.enum(["letterbox", "stretch", "crop"]),
  antialias: z.optional(z.boolean()),
  letterboxColor: z._default(z.int().check(z.minimum(0), z.maximum(255)), 114),
  letterboxAlign: z.optional(z.enum(["center", "corner"])),
};

/** The part of an input that is pre-processing. */
export const preprocessingIn = ({
  pixel,
  mean,
  norm,
  resize,
  antialias,
  letterboxColor,
  letterboxAlign,
}: ModelInput): Preprocessing => ({
  ...{ pixel, mean, norm, resize, letterboxColor },
  ...(antialias && { antialias }),
  ...(letterboxAlign && { letterboxAlign }),
});

/** Pre-processing settings that differ between two inputs, in words; empty when both make the same of a picture. */
export function inputDifferences(a: ModelInput, b: ModelInput): string[] {
  expectKind("inputDifferences: a", a, "an object");
  expectKind("inputDifferences: b", b, "an object");
  const fields = [
    "pixel",
    "mean",
    "norm",
    "resize",
    "antialias",
    "letterboxColor",
    "letterboxAlign",
  ] as const;
  const settingOf = (input: ModelInput, field: (typeof fields)[number]): unknown =>
    input[field] ?? (field === "antialias" ? false : "center");
  return fields
    .filter((field) => JSON.stringify(settingOf(a, field)) !== JSON.stringify(settingOf(b, field)))
    .filter(
      (field) => !field.startsWith("letterbox") || (a.resize === "letterbox" && b.resize === "letterbox"),
    )
    .map((field) => `${field} ${settingOf(a, field)} against ${settingOf(b, field)}`);
}

/** How pictures are fitted, in words: `letterbox with grey 114`. */
export function describeResize(input: Preprocessing): string {
  expectKind("describeResize: input", input, "an object");
  const { resize, antialias, letterboxColor, letterboxAlign } = input;
  const corner = letterboxAlign === "corner" ? ", picture at the left top" : "";
  const words = {
    letterbox: `letterbox with grey ${letterboxColor}${corner}`,
    stretch: "stretched",
    crop: "the middle cut out",
  };
  return `${words[resize]}${antialias ? ", averaged over all pixels" : ""}`;
}
