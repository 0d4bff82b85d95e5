/** Where the pictures of a pass come from: something to iterate over, or a list of what can be read, here or elsewhere. */

import { ahead } from "../base/ahead.ts";
import { expectKind } from "../base/arguments.ts";
import { InputError } from "../base/errors.ts";
import type { Picture } from "../detect/picture.ts";
import type { GroundTruth, ImageId } from "../evaluate/rows.ts";
import type { Numbered } from "./tally.ts";

/** One picture of an evaluation. */
export interface EvaluationItem {
  /** Different for every picture of an evaluation; files on disk have their path, relative to the dataset. */
  readonly id: ImageId;
  readonly picture: Picture;
  /** Size in which the truth's boxes are given, where the picture was shrunk on reading; default: the picture's. */
  readonly width?: number;
  readonly height?: number;
  /** Objects of this picture (`image` is its `id`), with the model's class numbers; without them there is fidelity only. */
  readonly truth?: readonly GroundTruth[];
}

/** A picture that is read when it is needed, and may be read again. */
export interface EvaluationEntry {
  /** File name or path, for messages and captions. */
  readonly name: string;
  /** What another process on the same files makes the entry of, as plain data; missing where only this one can read it. */
  readonly plain?: unknown;
  /** Told of what was read otherwise than it is written, where another process reads it; `read` does so itself. */
  note?(message: string): void;
  /** Throws InputError when it cannot be read. */
  read(): Promise<EvaluationItem>;
}

/** The pictures of a pass, in their order. */
export interface Pictures<P> {
  /** Each time anew, where they can be had again; only those whose number is wanted (default all) and below the limit. */
  numbered(isWanted?: (index: number) => boolean, limit?: number): AsyncIterable<Numbered<P>>;
  /** What they are read from, for runners that read elsewhere. */
  readonly listed?: Listed;
}

/** A list of pictures, and who is told of those that cannot be read, and of damaged ones. */
export interface Listed {
  readonly entries: readonly EvaluationEntry[];
  skip(index: number, message: string): void;
  warn(index: number, message: string): void;
  /** Numbers of those that could not be read; they are not tried again. */
  readonly broken: ReadonlySet<number>;
}

/** What there is to say of pictures that another process or thread read, each by its number. */
export interface Remarks {
  readonly skipped: readonly Said[];
  readonly warned: readonly Said[];
  readonly noted: readonly Said[];
}
export type Said = readonly [index: number, message: string];

/** Says it here. */
export function relay(listed: Listed, { skipped, warned, noted }: Remarks): void {
  for (const [index, message] of skipped) listed.skip(index, message);
  for (const [index, message] of warned) listed.warn(index, message);
  for (const [index, message] of noted) listed.entries[index].note?.(message);
}

/** Pictures of a list; those that cannot be read are told to `skip`, once, and damaged ones to `warn`, once. */
export function listedPictures(
  entries: readonly EvaluationEntry[],
  skip: (message: string, index: number) => void,
  warn: (message: string) => void = () => {},
): Pictures<EvaluationItem> & { readonly listed: Listed } {
  const broken = new Set<number>();
  const warned = new Set<number>();
  const listed: Listed = {
    ...{ entries, broken },
    skip: (index, message) => {
      if (!broken.has(index)) skip(message, index);
      broken.add(index);
    },
    warn: (index, message) => {
      if (!warned.has(index)) warn(message);
      warned.add(index);
    },
  };
  return { listed, numbered: (isWanted, limit) => readListed(listed, isWanted, limit) };
}

async function* readListed(
  { entries, broken, skip, warn }: Listed,
  isWanted = (_index: number): boolean => true,
  limit = entries.length,
): AsyncGenerator<Numbered<EvaluationItem>> {
  const wanted = [...entries.slice(0, limit).keys()].filter((index) => !broken.has(index) && isWanted(index));
  for (const [index, reading] of ahead(wanted, (index) => entries[index].read())) {
    let picture: EvaluationItem;
    try {
      picture = await reading;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      skip(index, error.message);
      continue;
    }
    if (picture.picture.warning !== undefined) warn(index, picture.picture.warning);
    yield { index, picture };
  }
}

/** Pictures of whatever can be iterated over; `open` begins anew. */
export const iteratedPictures = <P>(open: () => AsyncIterable<P> | Iterable<P>): Pictures<P> => ({
  numbered: async function* numbered(isWanted = () => true, limit = Number.POSITIVE_INFINITY) {
    let index = 0;
    for await (const picture of open()) {
      if (isWanted(index)) yield { index, picture };
      if (++index >= limit) break;
    }
  },
});

/** What `readEntries` gives: pictures one by one, and the list that they are of. */
export interface EntryReader extends AsyncGenerator<EvaluationItem> {
  readonly pictures: Pictures<EvaluationItem>;
}

/** The pictures in order; those that cannot be read are told to `skip` and left out, damaged ones are told to `warn`. */
export function readEntries(
  entries: readonly EvaluationEntry[],
  skip: (message: string) => void,
  warn: (message: string) => void = () => {},
): EntryReader {
  expectKind("readEntries: entries", entries, "a list");
  const pictures = listedPictures(entries, skip, warn);
  return Object.assign(itemsOf(pictures), { pictures });
}

async function* itemsOf(pictures: Pictures<EvaluationItem>): AsyncGenerator<EvaluationItem> {
  for await (const { picture } of pictures.numbered()) yield picture;
}

/** The pictures that something stands for: a reader's list, or what there is to iterate over. */
export function asPictures(
  items: AsyncIterable<EvaluationItem> | Iterable<EvaluationItem> | EntryReader,
): Pictures<EvaluationItem> {
  return "pictures" in items ? items.pictures : iteratedPictures(() => items);
}
