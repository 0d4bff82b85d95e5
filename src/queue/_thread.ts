/** A thread of a worker: adds the pictures of a shard to tallies, or merges what shards have seen. */

import { once } from "node:events";
import os from "node:os";
import type { MessagePort } from "node:worker_threads";
import sharp from "sharp";
import { features, InputError } from "../index.ts";
import { readFor } from "../node/entries.ts";
import { foundKind } from "../node/found.ts";
import { answerCalls } from "../node/pool.ts";
import { OpenedWork, type PlainWork } from "../tally/job.ts";
import type { Said } from "../tally/pictures.ts";
import { forHere } from "./places.ts";
import type { Done, Listed, Seen } from "./protocol.ts";
import { SharedFolder } from "./shared.ts";

/** What a thread is asked. */
export type Message = {
  readonly root: string;
  /** Id of the job. */
  readonly id: string;
  readonly work: string;
} & (
  | {
      readonly kind: "shard";
      readonly shard: number;
      readonly list: string;
      /** Pictures that are left out, with the reason. */
      readonly without: readonly Said[];
      /** Told which picture is next, where pictures are suspected of ending the process; answers when that is on record. */
      readonly port?: MessagePort;
    }
  | { readonly kind: "batch"; readonly parts: readonly string[] }
);

// There is a thread for every core already.
sharp.concurrency(1);

await answerCalls<undefined, Message, Done>(() => {
  let opened: { readonly name: string; readonly work: OpenedWork } | undefined;
  const open = async (shared: SharedFolder, name: string): Promise<OpenedWork> => {
    if (opened?.name === name) opened.work.begin();
    else {
      opened?.work.close();
      opened = undefined;
      const plain = await shared.get<PlainWork>(name);
      opened = { name, work: await OpenedWork.open(plain, foundKind(shared.root)) };
    }
    return opened.work;
  };
  return async (message) => {
    const shared = new SharedFolder(message.root);
    const work = await open(shared, message.work);
    const seen =
      message.kind === "shard" ? await add(work, shared, message) : await merge(work, shared, message.parts);
    return { seen: await shared.put(seen, message.id), images: seen.images, skipped: seen.skipped.length };
  };
});

async function add(
  work: OpenedWork,
  shared: SharedFolder,
  { list, without, port, shard }: Extract<Message, { kind: "shard" }>,
): Promise<Seen> {
  const remarks = { skipped: [...without], warned: [], noted: [] };
  const left = new Set(without.map(([index]) => index));
  let images = 0;
  for (const { index, name, plain } of await shared.get<Listed>(list)) {
    if (left.has(index)) continue;
    if (port) {
      port.postMessage({ index, name });
      await once(port, "message"); // it is on record
    }
    const picture = await readFor(remarks, index, forHere(plain, shared.root));
    if (!picture) continue;
    await work.add({ index, picture });
    images++;
  }
  port?.close();
  if (images === 0) expectHere(remarks.skipped);
  for (const tally of work.tallies) await tally.endPart?.(shard);
  const machines = [JSON.stringify(features())];
  return {
    ...{ images, machines, ...remarks },
    tallies: work.tallies.map((tally) => tally.write()),
  };
}

/** Pictures of which none is there say that this machine lacks the folder, not that all of them are broken. */
function expectHere(skipped: readonly Said[]): void {
  const missing = skipped.filter(([, message]) => /no such file|not found|ENOENT/i.test(message));
  if (missing.length < 2 || missing.length < skipped.length) return;
  throw new InputError(
    `${os.hostname()} has none of ${missing.length} pictures (${missing[0][1]}): is the folder there on this worker?`,
  );
}

async function merge(work: OpenedWork, shared: SharedFolder, parts: readonly string[]): Promise<Seen> {
  const all: Omit<Seen, "tallies">[] = [];
  for (const part of parts) {
    const { tallies, ...rest } = await shared.get<Seen>(part);
    for (const [i, tally] of work.tallies.entries()) tally.merge(tally.read(tallies[i]));
    all.push(rest);
  }
  return {
    images: all.reduce((sum, { images }) => sum + images, 0),
    skipped: all.flatMap(({ skipped }) => skipped),
    warned: all.flatMap(({ warned }) => warned),
    noted: all.flatMap(({ noted }) => noted),
    machines: [...new Set(all.flatMap(({ machines }) => machines))],
    tallies: work.tallies.map((tally) => tally.write()),
  };
}
