/** The stages of a deployment in their order. Adding one: its file in `stages/`, and a line here. */
import type { Stage } from "./stage.ts";
import { calibrate } from "./stages/calibrate.ts";
import { compare } from "./stages/compare.ts";
import { draw } from "./stages/draw.ts";
import { evaluate } from "./stages/evaluate.ts";
import { keepFloat } from "./stages/keep-float.ts";
import { quantize } from "./stages/quantize.ts";
import { time } from "./stages/time.ts";

export const stages: readonly Stage[] = [calibrate, keepFloat, quantize, evaluate, compare, time, draw];
