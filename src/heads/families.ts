/** How the families of detectors prepare pictures: what no file of theirs says. */
import { UsageError } from "../base/errors.ts";
import { brief } from "../base/text.ts";
import type { Preprocessing } from "./input.ts";

interface Family extends Preprocessing {
  /** Who has it, for people. */
  readonly title: string;
  /** The pre-processing for people. */
  readonly words: string;
  /** Side in pixels that its models are mostly made for. */
  readonly side: number;
}

const each = (value: number): number[] => [value, value, value];
const inverse = (...deviations: number[]): number[] => deviations.map((value) => 1 / value);

const unit = { mean: each(0), norm: each(1 / 255) };
const greyBox = { resize: "letterbox", letterboxColor: 114 } as const;
const stretched = { resize: "stretch", letterboxColor: 114 } as const;
const yolov5: Family = {
  ...{ title: "YOLOv5", side: 640, words: "RGB divided by 255 on a grey letterbox" },
  ...{ pixel: "RGB", ...unit, ...greyBox },
};
const darknet: Family = {
  ...{ title: "Darknet", side: 416, words: "RGB divided by 255, stretched" },
  ...{ pixel: "RGB", ...unit, ...stretched },
};
/** Mean and deviation of ImageNet in levels. */
const nanodet = {
  pixel: "BGR" as const,
  mean: [103.53, 116.28, 123.675],
  norm: inverse(57.375, 57.12, 58.395),
};

/** By the name that `--family` takes. */
export const families = {
  yolov5,
  ultralytics: { ...yolov5, title: "YOLOv8" },
  yolov6: { ...yolov5, title: "YOLOv6" },
  "ultralytics-cls": {
    ...{
      title: "YOLOv8 to 26 that sort pictures",
      side: 224,
      words: "RGB divided by 255, the middle cut out",
    },
    ...{ pixel: "RGB", ...unit, resize: "crop", antialias: true, letterboxColor: 114 },
  },
  "yolov5-cls": {
    ...{ title: "YOLOv5 that sorts pictures", side: 224 },
    words: "RGB less ImageNet's mean over its deviation, the middle cut out",
    pixel: "RGB",
    mean: nanodet.mean.toReversed(),
    norm: inverse(58.395, 57.12, 57.375),
    ...{ resize: "crop", letterboxColor: 114 },
  },
  yolox: {
    ...{ title: "YOLOX", side: 640, words: "BGR with levels 0 to 255 at the left top of a grey letterbox" },
    ...{ pixel: "BGR", mean: each(0), norm: each(1), ...greyBox, letterboxAlign: "corner" },
  },
  "yolox-0.1.0": {
    ...{ title: "YOLOX before 0.1.1", side: 640 },
    words: "RGB less ImageNet's mean over its deviation at the left top of a grey letterbox",
    pixel: "RGB",
    mean: nanodet.mean.toReversed(),
    norm: nanodet.norm.toReversed(),
    ...greyBox,
    letterboxAlign: "corner",
  },
  nanodet: {
    ...{
      title: "NanoDet",
      side: 320,
      words: "BGR less ImageNet's mean over its deviation on a black letterbox",
    },
    ...{ ...nanodet, resize: "letterbox", letterboxColor: 0 },
  },
  "nanodet-plus": {
    ...{ title: "NanoDet-Plus", side: 416, words: "BGR less ImageNet's mean over its deviation, stretched" },
    ...{ ...nanodet, ...stretched },
  },
  picodet: {
    ...{ title: "PicoDet", side: 320, words: "RGB less ImageNet's mean over its deviation, stretched" },
    pixel: "RGB",
    mean: nanodet.mean.toReversed(),
    norm: nanodet.norm.toReversed(),
    ...stretched,
  },
  fastestdet: {
    ...{ title: "FastestDet", side: 352, words: "BGR divided by 255, stretched" },
    ...{ pixel: "BGR", ...unit, ...stretched },
  },
  "yolo-fastest": {
    ...{ title: "Yolo-Fastest", side: 352, words: "BGR divided by 255, stretched" },
    ...{ pixel: "BGR", ...unit, ...stretched },
  },
  centerface: {
    ...{ title: "CenterFace", side: 640, words: "RGB with levels 0 to 255, stretched" },
    ...{ pixel: "RGB", mean: each(0), norm: each(1), ...stretched },
  },
  scrfd: {
    ...{
      title: "SCRFD",
      side: 640,
      words: "RGB from -1 to 1 (less 127.5, by 128) at the left top of a black letterbox",
    },
    ...{ pixel: "RGB", mean: each(127.5), norm: each(1 / 128) },
    ...{ resize: "letterbox", letterboxColor: 0, letterboxAlign: "corner" },
  },
  retinaface: {
    ...{ title: "RetinaFace", side: 640, words: "BGR less 104, 117, 123 on a grey letterbox" },
    ...{ pixel: "BGR", mean: [104, 117, 123], norm: each(1), ...greyBox },
  },
  "retinaface-mxnet": {
    ...{ title: "RetinaFace of mxnet", side: 640, words: "RGB with levels 0 to 255 on a black letterbox" },
    ...{ pixel: "RGB", mean: each(0), norm: each(1), resize: "letterbox", letterboxColor: 0 },
  },
  blazeface: {
    ...{ title: "BlazeFace", side: 128, words: "RGB from -1 to 1 on a black letterbox" },
    ...{ pixel: "RGB", mean: each(127.5), norm: each(1 / 127.5), resize: "letterbox", letterboxColor: 0 },
  },
  yolov3: { ...darknet, title: "YOLOv3" },
  yolov4: { ...darknet, title: "YOLOv4", side: 608 },
  darknet,
  ssd: {
    ...{ title: "SSD", side: 300, words: "BGR from -1 to 1, stretched" },
    ...{ pixel: "BGR", mean: each(127.5), norm: each(1 / 127.5), ...stretched },
  },
} satisfies Record<string, Family>;

export type FamilyName = keyof typeof families;
/** Whose models find faces. */
const faceFamilies: readonly FamilyName[] = [
  "centerface",
  "scrfd",
  "retinaface",
  "retinaface-mxnet",
  "blazeface",
];

/** Whose models sort pictures. */
export const classFamilies: readonly FamilyName[] = ["ultralytics-cls", "yolov5-cls"];

/** Whether the caller says that it is a detector of faces, but none of `own`: heads are then not taken for theirs. */
export const isOtherFace = (told: FamilyName | undefined, ...own: FamilyName[]): boolean =>
  told !== undefined && faceFamilies.includes(told) && !own.includes(told);

export const familyNames = Object.keys(families) as FamilyName[];

/** Title and pre-processing of a family for people: `YOLOX: BGR with levels 0 to 255 at the left top of a grey letterbox`. */
export function describeFamily(family: FamilyName): string {
  const { title, words } = known(family);
  return `${title}: ${words}`;
}

function known(family: FamilyName): Family {
  if (Object.hasOwn(families, family)) return families[family];
  throw new UsageError(`family ${brief(String(family))}: expected one of ${familyNames.join(", ")}`);
}

/** The pre-processing of a family; for one channel, the mean of its numbers. */
export function preprocessingOf(family: FamilyName, channels: 1 | 3): Preprocessing {
  const { title: _, words: __, side: ___, mean, norm, ...rest } = known(family);
  if (channels === 3) return { ...rest, mean: [...mean], norm: [...norm] };
  const middle = (list: readonly number[]): number[] => [list.reduce((a, b) => a + b, 0) / list.length];
  const isEqual = norm.every((value) => value === norm[0]);
  return { ...rest, pixel: "GRAY", mean: middle(mean), norm: isEqual ? [norm[0]] : middle(norm) };
}
