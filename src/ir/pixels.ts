/** 8-bit pixels and how they become a tensor: plain records, so that who runs a network need know nothing of pictures. */

/** What the lines (or columns) of a resized picture are made of: `source[from]·first + source[next]·second`, in 2048ths. */
export interface Taps {
  /** Index of the first source line. */
  readonly from: Int32Array;
  /** Index of the second one, which is the next; equal to the first only where the source is one line. */
  readonly next: Int32Array;
  readonly first: Int32Array;
  readonly second: Int32Array;
}

/** What the levels of a pixel become. */
export interface LevelMap {
  /** For each channel of the tensor, how much it has of red, green and blue, in 256ths that add up to 256; the fraction is cut off. */
  readonly mix: readonly (readonly [red: number, green: number, blue: number])[];
  /** For each channel of the tensor, the number that each level 0..255 becomes. */
  readonly values: readonly Float32Array[];
}

/**
 * How pictures of one size come to lie in a tensor. Lines are resized first, with four bits of fraction, then columns. Whoever makes pixels keeps
 * it as long as it is the same: what follows from it is worked out once for an object.
 */
export interface Placement {
  /** Size of the picture. */
  readonly sourceWidth: number;
  readonly sourceHeight: number;
  /** Size of the tensor. */
  readonly width: number;
  readonly height: number;
  /** Where the resized picture begins in it; it has as many columns and rows as there are taps. */
  readonly left: number;
  readonly top: number;
  readonly columns: Taps;
  readonly rows: Taps;
  /** Level of the border. */
  readonly border: number;
}

/** What a browser shows. */
export type Frame = ImageBitmap | VideoFrame;

/** `[height, width, channels]`, RGB or RGBA, rows without gaps. Alpha is not read. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  /** The same, for whoever can take it: then `data`, which has to be read out first, is not asked for. */
  readonly frame?: Frame;
  readonly channels: 3 | 4;
  readonly placement: Placement;
}
