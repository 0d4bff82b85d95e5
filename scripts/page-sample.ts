/** Draws `web/public/sample.webp`, the picture that the page offers to try the code finder on: of the scenes that no training saw. */
import path from "node:path";
import sharp from "sharp";
import { generatePicture } from "../training/pictures/index.ts";

const number = Number(process.argv[2] ?? 92);
const file = process.argv[3] ?? path.join(import.meta.dirname, "../web/public/sample.webp");
const { picture } = generatePicture(number, { size: 640, split: "held-out" });
const { width, height, data } = picture;
const info = await sharp(data, { raw: { width, height, channels: 3 } })
  .webp({ quality: 60, effort: 6 })
  .toFile(file);
process.stdout.write(`${file}: ${info.width}x${info.height}, ${info.size} bytes\n`);
