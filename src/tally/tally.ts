/**
 * What is collected over pictures. Whatever a program wants to know of many pictures is a `Tally`: it says which blobs of which networks
 * it looks at, and takes pictures one by one, in any order; tallies of parts of the pictures merge. The result is the same to the last
 * bit for any order and any parts, since a tally keeps only
 * - counts, extremes and sums of whole numbers, which are exact;
 * - sums of fractions as `ExactSums`: each picture's own sum, added up without rounding;
 * - what a single picture gave, under its number, to be looked at in the order of numbers at the end.
 * Nothing may hang on which picture came before: random choices begin anew at the picture's number.
 */
import type { InputOptions, Transform } from "../detect/letterbox.ts";
import type { BackendChoice, Session } from "../engine/session.ts";
import type { ModelInput } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import type { Blobs, Extremes } from "../ir/tensor.ts";

/** A picture and its place among all, from 0. */
export interface Numbered<P> {
  readonly index: number;
  readonly picture: P;
}

/** What a network is given of a picture, and how the picture lies in it. */
export interface Prepared {
  readonly inputs: Blobs;
  readonly transform?: Transform;
}

/** What runs a network for tallies. */
export type TallySession = Pick<Session, "run"> & Partial<Pick<Session, "extremes">>;

/** A network that pictures are run through. Tallies that name the same object share its runs. */
export interface Subject<P> {
  readonly graph: Graph;
  prepare(picture: P): Prepared;
  readonly backend?: BackendChoice;
  /** Runs the graph, where there is something that does; else a session is made for it. */
  readonly session?: TallySession;
  /** How `prepare` takes a picture, in words that another process understands; missing where it does something of its own. */
  readonly input?: SubjectInput;
}

/** A model's pre-processing, at another size than its own perhaps. */
export interface SubjectInput {
  readonly of: ModelInput;
  readonly options: InputOptions;
}

/** What a network made of a picture. */
export interface Output extends Prepared {
  /** The blobs that were asked for, by any tally; none where extremes are enough for all. */
  readonly values: Blobs;
  /** Instead of the blobs. */
  readonly extremes?: Readonly<Record<string, Extremes>>;
  /** Milliseconds. */
  readonly preparing: number;
  readonly inference: number;
}

/** Looks at pictures in this process. See above for what it must keep to. */
export interface Observer<P = unknown> {
  readonly graphs: readonly Subject<P>[];
  /** The blobs that it looks at, of each of `graphs`; a network of which nobody wants blobs is not run. */
  readonly blobs: readonly (readonly string[])[];
  /** It is done with the values of a picture when `add` has returned: they may be lent. Default: it may keep them. */
  readonly borrows?: boolean;
  /** The extremes of its blobs are enough; it may be given the blobs all the same. */
  readonly wantsExtremes?: boolean;
  /** Takes a picture: what each of `graphs` made of it. Throws where the values are not what they must be. */
  add(outputs: readonly Output[], item: Numbered<P>): void | Promise<void>;
  /** Whether no picture with a greater number than those seen can change anything. */
  isFull?(): boolean;
  /** Frees what it made to look at pictures; it takes none afterwards. */
  close?(): void;
}

/** Collects something over pictures, in parts that may be in other processes and on other machines. */
export interface Tally<P = unknown> extends Observer<P> {
  /** Its name in the list of kinds, and what an empty one is made of there, as plain data; without a name it cannot be made elsewhere. */
  readonly kind: string | undefined;
  readonly settings: unknown;
  /** What it has seen is a list that grows with the pictures: it is taken from a part of the pass now and then, and forgotten there. */
  readonly isList?: boolean;
  clear?(): void;
  /** Told when a part of a pass is done that is known by a number, before it is asked what it has seen. */
  endPart?(part: number): Promise<void>;
  /** Takes what a tally of the same kind and settings has seen of other pictures. */
  merge(other: this): void;
  /** What it has seen as plain data (numbers, strings, lists, objects, typed arrays), and a like tally that has seen that. */
  write(): unknown;
  read(written: unknown): this;
}
