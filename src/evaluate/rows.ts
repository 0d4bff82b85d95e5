/** Labelled objects and detections as evaluation takes them. */
import type { Box, Point } from "../detect/detection.ts";
import type { Mask } from "../detect/mask.ts";

/** Images are named by number or by string; both sides must use the same. */
export type ImageId = number | string;

/** A labelled key point, in pixels of its picture. */
export interface TruePoint {
  readonly x: number;
  readonly y: number;
  /** Whether it was labelled; where not, its place says nothing. */
  readonly labelled: boolean;
}

/** A labelled object, in pixels of its picture. */
export interface GroundTruth {
  image: ImageId;
  /** Class number. */
  category: number;
  /** Around the object; of a turned box, around its corners. */
  box: Box;
  /** Area that decides the size class, in pixels²; COCO gives that of the outline. The box's when absent. */
  area?: number;
  /** A region of many objects: never missed, and any number of detections may lie in it without counting. */
  crowd?: boolean;
  /** Its pixels, for segmentation. */
  mask?: Mask;
  /** Its key points in the model's order, for poses. */
  points?: readonly TruePoint[];
  /** `x y` of the four corners in their order around it, for turned boxes. */
  corners?: readonly number[];
}

/** A detection as evaluation takes it, in pixels of its picture. */
export interface DetectionRow {
  image: ImageId;
  category: number;
  score: number;
  box: Box;
  /** Area that decides the size class where it is no true one, in pixels²; the box's when absent, as pycocotools has it. */
  area?: number;
  mask?: Mask;
  points?: readonly Point[];
  corners?: readonly number[];
}
