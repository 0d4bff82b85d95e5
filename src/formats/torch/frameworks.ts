/** The frameworks whose checkpoints are read. The first that claims a model converts it. */
import type { Framework } from "./framework.ts";
import { yolov5 } from "./yolov5/index.ts";

export const frameworks: readonly Framework[] = [yolov5];
