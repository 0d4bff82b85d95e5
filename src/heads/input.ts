/** How pictures become a network's input. */

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
  /** `letterbox` keeps the aspect and fills the border; `stretch` does not keep it. */
  resize: "letterbox" | "stretch";
  /** Level 0..255 of the border, the same for all channels. */
  letterboxColor: number;
  /** Where the picture lies in the letterbox: `center` (default), or at the left top `corner`. */
  letterboxAlign?: "center" | "corner";
}
