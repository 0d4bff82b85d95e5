/** Generated sequences of moving codes with exact boxes and identities: what following things is measured on. */
import { InputError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { paintBackground, randomColour } from "./backgrounds.ts";
import { randomCode } from "./codes.ts";
import { type PrintedSheet, printedSheet } from "./sheets.ts";
import { type BackgroundKind, kindsOfSplit, type Split } from "./split.ts";
import { createSurface, fillRect, type Surface } from "./surface.ts";
import { clipToPicture, drawSheet, type Mapping, mapping, outline, type Point } from "./warp.ts";

export interface SequenceOptions {
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly split: Split;
  /**
   * `crossing`: two codes that pass each other, the nearer one before a part of the other. `occlusion`: two that pass behind a thin post, and
   * are both out of sight for twelve frames in the middle. `mixed`: both, of four codes that turn back at the edges.
   */
  readonly scene: "crossing" | "occlusion" | "mixed";
}

/** A code in a frame. */
export interface MovingBox {
  /** From 1. */
  readonly id: number;
  /** Position in `codeClasses`. */
  readonly class: number;
  /** Extent of the code in pixels, hidden parts too. */
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  /** Share of it that something covers, 0..1. */
  readonly hidden: number;
}

export interface SequenceFrame {
  readonly picture: { width: number; height: number; channels: 3; data: Uint8Array };
  readonly boxes: MovingBox[];
}

/** A code on its way. */
interface Mover {
  readonly id: number;
  readonly class: number;
  readonly sheet: PrintedSheet;
  at: [number, number];
  velocity: [number, number];
  angle: number;
  readonly turn: number;
  /** Half the diagonal of its sheet in pixels, which stays inside. */
  readonly radius: number;
}

/** QR, Data Matrix and Aztec: of the others at this size the bars are too fine. */
const squareClasses = 3;

type Post = readonly [left: number, top: number, right: number, bottom: number];

/** Frames one by one, the same for the same seed. Throws InputError for a seed that is none. */
export function* generateSequence(seed: number, options: SequenceOptions): Generator<SequenceFrame> {
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new InputError(
      `generated sequence: seed is ${seed}, expected a whole number from 0 to ${2 ** 32 - 1}`,
    );
  }
  const { width, height, frames, split } = options;
  const random = new Random(seed * 2_654_435_761);
  const ground = createSurface(width, height, [0, 0, 0]);
  paintBackground(ground, random, random.pick<BackgroundKind>(kindsOfSplit[split].backgrounds));
  const movers = moversOf(random, options);
  const postsAt = postsOf(random, options);
  const colour = randomColour(random, 40, 200, 0.3);
  const noise = random.floats(2 ** 16, -3, 3);
  for (let frame = 0; frame < frames; frame++) {
    const surface: Surface = { width, height, rgb: ground.rgb.slice() };
    // The last drawn is nearest.
    const maps = movers.map((mover) => {
      const map = mappingOf(mover);
      drawSheet(surface, mover.sheet.surface, map);
      return map;
    });
    const posts = postsAt(frame);
    for (const post of posts) fillRect(surface, post, colour);
    yield { picture: exposed(surface, noise, frame), boxes: boxesOf(movers, maps, posts, options) };
    for (const mover of movers) step(mover, options);
  }
}

function moversOf(random: Random, { width, height, scene, split }: SequenceOptions): Mover[] {
  const count = { crossing: 2, occlusion: 2, mixed: 4 }[scene];
  const side = Math.min(width, height) * (scene === "mixed" ? 0.18 : 0.2);
  return Array.from({ length: count }, (_, i) => {
    const classNumber = i % squareClasses;
    const sheet = printedSheet(random, split, randomCode(random, split, classNumber), side, undefined);
    const radius = Math.hypot(sheet.surface.width, sheet.surface.height) / sheet.scale / 2;
    // Lanes that touch their neighbours', to the right and to the left in turn.
    const lane = { crossing: 0.38 + 0.24 * i, occlusion: 0.3 + 0.4 * i, mixed: 0.16 + 0.23 * i }[scene];
    const speed = (width / 80) * (scene === "mixed" ? random.uniform(0.4, 1) : 1);
    const from = scene === "mixed" ? random.uniform(radius, width - radius) : i ? width - radius : radius;
    const [at, velocity] = [
      [from, height * lane] as Mover["at"],
      [i % 2 ? -speed : speed, 0] as Mover["velocity"],
    ];
    const angle = random.normal() * 0.15;
    return {
      id: i + 1,
      class: classNumber,
      sheet,
      at,
      velocity,
      angle,
      turn: random.normal() * 0.004,
      radius,
    };
  });
}

/** What stands before everything: a post, and in the middle of the time a shutter. */
function postsOf(
  random: Random,
  { width, height, frames, scene }: SequenceOptions,
): (frame: number) => Post[] {
  if (scene === "crossing") return () => [];
  const left = width * random.uniform(0.3, 0.4);
  const post: Post = [left, 0, left + height * 0.06, height];
  const middle = Math.floor(frames / 2);
  return (frame) => (frame >= middle - 6 && frame < middle + 6 ? [[0, 0, width, height]] : [post]);
}

function step(mover: Mover, { width, height }: SequenceOptions): void {
  const size = [width, height];
  for (const axis of [0, 1]) {
    mover.at[axis] += mover.velocity[axis];
    const most = size[axis] - mover.radius;
    if (mover.at[axis] < mover.radius) mover.velocity[axis] = Math.abs(mover.velocity[axis]);
    else if (mover.at[axis] > most) mover.velocity[axis] = -Math.abs(mover.velocity[axis]);
  }
  mover.angle += mover.turn;
}

function mappingOf({ sheet: { surface, scale }, at, angle }: Mover): Mapping {
  const sheet = { width: surface.width, height: surface.height, scale };
  return mapping({ centre: [...at], sheet, angle, tilt: 0, squeeze: 1, perspective: [0, 0] });
}

function boxesOf(
  movers: readonly Mover[],
  maps: readonly Mapping[],
  posts: readonly Post[],
  { width, height }: SequenceOptions,
): MovingBox[] {
  return movers.map(({ id, class: classNumber, sheet }, i) => {
    const corners = clipToPicture(outline(maps[i], sheet.code), width, height);
    const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
    const [x, y] = [Math.min(...xs), Math.min(...ys)];
    const box = { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
    return { id, class: classNumber, box, hidden: hiddenShare(i, movers, maps, posts) };
  });
}

/** Of 16 x 16 points of the code those that a later sheet or a post covers. */
function hiddenShare(
  at: number,
  movers: readonly Mover[],
  maps: readonly Mapping[],
  posts: readonly Post[],
): number {
  const [left, top, right, bottom] = movers[at].sheet.code;
  const texel = new Float64Array(2);
  const isCovered = ([x, y]: Point): boolean =>
    posts.some(([x0, y0, x1, y1]) => x >= x0 && x < x1 && y >= y0 && y < y1) ||
    movers.some(({ sheet: { surface } }, i) => {
      if (i <= at) return false;
      maps[i].back(x, y, texel);
      return texel[0] >= 0 && texel[0] < surface.width && texel[1] >= 0 && texel[1] < surface.height;
    });
  let covered = 0;
  for (let k = 0; k < 256; k++) {
    const [u, v] = [((k % 16) + 0.5) / 16, (Math.floor(k / 16) + 0.5) / 16];
    if (isCovered(maps[at].forward(left + u * (right - left), top + v * (bottom - top)))) covered++;
  }
  return covered / 256;
}

/** Bytes with the noise of a camera, another in each frame. */
function exposed(
  { width, height, rgb }: Surface,
  noise: Float32Array,
  frame: number,
): SequenceFrame["picture"] {
  const data = new Uint8Array(rgb.length);
  const shift = (frame * 7919) % noise.length;
  for (let i = 0; i < data.length; i++) {
    data[i] = Math.min(255, Math.max(0, Math.round(rgb[i] + noise[(i + shift) % noise.length])));
  }
  return { width, height, channels: 3, data };
}

/**
 * Rows of MOTChallenge's labels of a frame. What is hidden by more than half is of the class of distractors: by the rules of mot17 it is
 * neither asked for nor held against who finds it.
 */
export function truthRows(
  { boxes }: SequenceFrame,
  frame: number,
): { frame: number; id: number; box: MovingBox["box"]; score: number; category: number }[] {
  const [counted, distractor] = [1, 8];
  return boxes.map(({ id, box, hidden }) => ({
    ...{ frame, id, box, score: 1, category: hidden > 0.5 ? distractor : counted },
  }));
}
