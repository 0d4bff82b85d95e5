/** Letters of labels: how a text looks, whoever draws it. */
import { expectKind } from "../base/arguments.ts";
import { glyphHeight, glyphRows, glyphWidth } from "./_font.ts";

/** A line of text as pixels: how much of each is ink. */
export interface Letters {
  readonly width: number;
  readonly height: number;
  /** 0..255, row by row. */
  readonly ink: Uint8Array | Uint8ClampedArray;
}

/** Writes a text as a line of this height in pixels, or of the height that comes nearest. */
export type Lettering = (text: string, height: number) => Letters;

/** Makes ready what a lettering needs for these texts. */
export type Letterer = (texts: readonly string[], height: number) => Promise<Lettering>;

/** Rows above and below the letters. */
const around = 1;

/** The bitmap font of the kit, enlarged by whole numbers: the same pixels everywhere. Characters beyond ASCII become `?`. */
export const bitmapLettering: Lettering = (text, wanted) => {
  expectKind("bitmapLettering: text", text, "a string");
  expectKind("bitmapLettering: height", wanted, "a number");
  const scale = Math.max(Math.round(wanted / (glyphHeight + 2 * around)), 1);
  const characters = Array.from(text);
  const width = (characters.length * (glyphWidth + 1) + 1) * scale;
  const height = (glyphHeight + 2 * around) * scale;
  const ink = new Uint8Array(width * height);
  characters.forEach((character, k) => {
    glyphRows(character).forEach((row, j) => {
      for (let i = 0; i < glyphWidth; i++) {
        if (!((row >> (glyphWidth - 1 - i)) & 1)) continue;
        const left = (k * (glyphWidth + 1) + 1 + i) * scale;
        for (let y = 0; y < scale; y++) {
          const at = ((j + around) * scale + y) * width + left;
          ink.fill(255, at, at + scale);
        }
      }
    });
  });
  return { width, height, ink };
};
