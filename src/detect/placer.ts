/** From pictures to pixels in a model's input, for the engine to place: nothing is made anew while their size stays. */

import type { ModelInput } from "../heads/manifest.ts";
import type { LevelMap, Pixels, Placement } from "../ir/pixels.ts";
import type { Tensor } from "../ir/tensor.ts";
import {
  type InputOptions,
  inputTransform,
  levelMapOf,
  normalize,
  place,
  placementOf,
  stretchTransform,
  type Transform,
} from "./letterbox.ts";
import { checkPicture, type Picture } from "./picture.ts";

/** A picture that is to be placed. */
export interface Placed {
  readonly pixels: Pixels;
  readonly transform: Transform;
  /** What the pixels become, for a backend that wants it. */
  tensor(): Tensor;
}

interface Known {
  readonly transform: Transform;
  readonly placement: Placement;
  readonly options: InputOptions;
}

export class Placer {
  readonly levels: LevelMap;
  private readonly input: ModelInput;
  private known: Known | undefined;

  constructor(input: ModelInput) {
    this.input = input;
    this.levels = levelMapOf(input);
  }

  /** Throws InputError for a broken picture, UsageError for a size that the model does not take. */
  place(picture: Picture, options: InputOptions): Placed {
    const { input } = this;
    const channels = checkPicture(picture);
    if (!isFor(this.known, picture, options)) this.known = this.placing(picture, options);
    const { transform, placement } = this.known as Known;
    const { letterboxColor, antialias } = input;
    const tensor = (): Tensor => normalize(place(picture, transform, letterboxColor, antialias), input);
    return { pixels: this.pixels(picture, channels, transform, placement), transform, tensor };
  }

  private pixels(picture: Picture, channels: 3 | 4, transform: Transform, placement: Placement): Pixels {
    // Averaging over all pixels is done before: what the engine gets is of the input's size.
    const { antialias, letterboxColor } = this.input;
    if (antialias) return { ...place(picture, transform, letterboxColor, true), placement };
    const { frame } = picture;
    if (!frame) return { data: picture.data, channels, placement };
    return {
      ...{ channels, placement, frame },
      get data() {
        return picture.data;
      },
    };
  }

  private placing({ width, height }: Picture, options: InputOptions): Known {
    const { antialias, letterboxColor } = this.input;
    const transform = inputTransform(width, height, this.input, options);
    const source = antialias
      ? stretchTransform(transform.width, transform.height, transform.width, transform.height)
      : transform;
    return { transform, placement: placementOf(source, letterboxColor), options };
  }
}

const isFor = (known: Known | undefined, { width, height }: Picture, options: InputOptions): boolean =>
  known !== undefined &&
  known.transform.sourceWidth === width &&
  known.transform.sourceHeight === height &&
  known.options.width === options.width &&
  known.options.height === options.height &&
  known.options.rectangle === options.rectangle;
