/**
 * What coordinator and workers say to each other. In Redis are only numbers, ids and names: what is large lies in the shared folder. A shard is
 * known by the digest of its pass and its pictures, so that asking for it again is asking for the same.
 */
import { createHash } from "node:crypto";
import { version } from "../index.ts";
import type { PlainEntry } from "../node/entries.ts";
import type { Remarks } from "../tally/pictures.ts";

/** Counts up with every change that older workers would not understand. */
export const protocol = 1;
export const queueName = "ncnnkit";

/** What every job says of who made it. */
interface OfAny {
  readonly protocol: number;
  /** Version of ncnnkit; others may compute other last digits. */
  readonly kit: string;
  /** Id of the shard or batch. */
  readonly id: string;
  /** Name of the pass in the shared folder. */
  readonly work: string;
}
/** Pictures to be added to tallies. */
export interface ShardJob extends OfAny {
  readonly kind: "shard";
  /** Number of the shard in its pass, from 0. */
  readonly shard: number;
  /** Name of its list of pictures in the shared folder. */
  readonly list: string;
  readonly pictures: number;
}
/** Shards to be merged, its children. */
export interface BatchJob extends OfAny {
  readonly kind: "batch";
  readonly batch: number;
  readonly shards: number;
  /** In words, for those who look at the queue. */
  readonly title: string;
}
export type JobData = ShardJob | BatchJob;

/** What a finished shard or batch gives: where its tallies are, and what can be said without them. */
export interface Done {
  /** Name of a `Seen` in the shared folder. */
  readonly seen: string;
  readonly images: number;
  readonly skipped: number;
}

/** What a list of pictures holds. */
export type Listed = readonly { readonly index: number; readonly name: string; readonly plain: PlainEntry }[];

/** What tallies have seen, and what there was to say of pictures. */
export interface Seen extends Remarks {
  readonly tallies: readonly unknown[];
  readonly images: number;
  /** Instruction sets that computed it, each as text. */
  readonly machines: readonly string[];
}

/** The same parts give the same id. */
export const idOf = (...parts: readonly string[]): string =>
  createHash("sha256")
    .update(JSON.stringify([protocol, version, ...parts]))
    .digest("hex")
    .slice(0, 40);

/** The result by which workers are told that nobody waits for a batch any more. */
export const cancelled = (batch: string): string => `${batch}.cancelled`;

/** Why a worker cannot take a job; nothing where it can. */
export function mismatch(data: { readonly protocol?: number; readonly kit?: string }): string | undefined {
  if (data.protocol !== protocol) {
    return `the job speaks protocol ${data.protocol}, this worker ${protocol}: run the same ncnnkit on both sides (${data.kit} there, ${version} here)`;
  }
  if (data.kit === version) return undefined;
  return `the job is of ncnnkit ${data.kit}, this worker is ${version}: results could differ in the last digits; run the same version on both sides`;
}

/** The server at an address, without a password that it may hold. */
export const shownAddress = (address: string): string => address.replace(/\/\/[^@/]*@/, "//");
