/** Frames in the terminal: two pixels a character, above each other, in true colour. */
import type { Picture } from "../node.ts";

/** Milliseconds between frames. */
const interval = 200;

/** Draws over what it drew before. `columns` and `rows` are those of the terminal. */
export class TerminalPreview {
  private last = 0;
  private drawn = 0;
  private readonly write: (text: string) => void;

  constructor(write: (text: string) => void) {
    this.write = write;
  }

  get wanted(): boolean {
    return performance.now() - this.last >= interval;
  }

  show(picture: Picture, columns: number, rows: number): void {
    this.last = performance.now();
    const lines = halfBlocks(picture, columns, rows);
    // Back to where it began.
    const up = this.drawn ? `\u001b[${this.drawn}F` : "";
    this.write(`${up}${lines.join("\n")}\n`);
    this.drawn = lines.length;
  }
}

/** Lines of a picture that fits into so many columns and rows: the upper half block in the upper pixel's colour on the lower one's. */
export function halfBlocks(
  { width, height, data, channels = 4 }: Picture,
  columns: number,
  rows: number,
): string[] {
  const scale = Math.min(columns / width, (rows * 2) / height);
  const [across, down] = [
    Math.max(1, Math.floor(width * scale)),
    Math.max(1, Math.floor((height * scale) / 2)),
  ];
  const colour = (x: number, y: number): string => {
    const [column, row] = [
      Math.floor(((x + 0.5) / across) * width),
      Math.floor(((y + 0.5) / (2 * down)) * height),
    ];
    const at = (row * width + column) * channels;
    return `${data[at]};${data[at + 1]};${data[at + 2]}`;
  };
  return Array.from({ length: down }, (_, row) => {
    const cells = Array.from(
      { length: across },
      (_, x) => `\u001b[38;2;${colour(x, 2 * row)}m\u001b[48;2;${colour(x, 2 * row + 1)}m▀`,
    );
    return `${cells.join("")}\u001b[0m`;
  });
}
