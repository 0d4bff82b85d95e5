/** What is found in a picture, task by task. */
import { expectKind } from "../base/arguments.ts";
import { type Mask, maskScaled } from "./mask.ts";
import { type RotatedBox, scaledRotated } from "./rotated.ts";

/** Left top corner and extent, in pixels of the original picture. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A landmark or key point, in pixels of the original picture. One with a score is clipped to it, one without may lie outside of it. */
export interface Point {
  x: number;
  y: number;
  /** How surely it is seen, 0..1, where the model says so. */
  score?: number;
}

interface Found {
  label: string;
  /** Index of the label. */
  classId: number;
  /** objectness · class probability, 0..1. */
  score: number;
}

interface FoundObject extends Found {
  /** Clipped to the picture. */
  box: Box;
}

/** An object. */
export interface DetectedObject extends FoundObject {
  task: "detect";
}

/** An object and its pixels. */
export interface SegmentedObject extends FoundObject {
  task: "segment";
  /** Of the size of the picture; some of it is inside. */
  mask: Mask;
}

/** An object with key points, or a face with landmarks. */
export interface PosedObject extends FoundObject {
  task: "pose";
  /** In the order of the model, as many for each object. */
  points: Point[];
}

/** An object in a box that is turned. */
export interface OrientedObject extends FoundObject {
  task: "obb";
  /** The box, not clipped; `box` is the upright one about it. */
  rotated: RotatedBox;
}

/** A class of the whole picture. */
export interface ClassifiedPicture extends Found {
  task: "classify";
}

/** One thing that was found; `task` tells what there is of it. All of a model have the same. */
export type Detection = DetectedObject | SegmentedObject | PosedObject | OrientedObject | ClassifiedPicture;

/** Those that are objects in boxes. */
export type ObjectDetection = Exclude<Detection, ClassifiedPicture>;

export const isObject = <D extends Detection>(
  detection: D,
): detection is Exclude<D, { readonly task: "classify" }> => {
  expectKind("isObject: detection", detection, "a detection ({ task, … })");
  return detection.task !== "classify";
};

interface Size {
  readonly width: number;
  readonly height: number;
}

/** What was found in a picture of the size `from`, in pixels of the same picture in the size `to`. */
export function scaledDetection(detection: Detection, from: Size, to: Size): Detection {
  expectKind("scaledDetection: detection", detection, "a detection ({ task, … })");
  expectKind("scaledDetection: from", from, "a size ({ width, height })");
  expectKind("scaledDetection: to", to, "a size ({ width, height })");
  if (!isObject(detection)) return detection;
  const [sx, sy] = [to.width / from.width, to.height / from.height];
  const place = <T extends { x: number; y: number }>(point: T): T => ({
    ...point,
    x: point.x * sx,
    y: point.y * sy,
  });
  const { width, height } = detection.box;
  const box = { ...place(detection.box), width: width * sx, height: height * sy };
  switch (detection.task) {
    case "detect":
      return { ...detection, box };
    case "segment":
      return { ...detection, box, mask: maskScaled(detection.mask, to) };
    case "pose":
      return { ...detection, box, points: detection.points.map(place) };
    case "obb":
      return { ...detection, box, rotated: scaledRotated(detection.rotated, sx, sy) };
  }
}
