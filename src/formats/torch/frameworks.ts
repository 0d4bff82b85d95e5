/** The frameworks whose checkpoints are read. The first that claims a model converts it. */
import type { Framework } from "./framework.ts";
import { ultralytics } from "./ultralytics/index.ts";
import { yolov5 } from "./yolov5/index.ts";
import { yolov6 } from "./yolov6/index.ts";
import { yolov7 } from "./yolov7/index.ts";

export const frameworks: readonly Framework[] = [yolov7, yolov5, ultralytics, yolov6];
