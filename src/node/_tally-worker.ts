/** A thread of `Threads`: asks for pictures until there are none, and adds them to tallies of its own. */
import { once } from "node:events";
import sharp from "sharp";
import { type EvaluationItem, InputError } from "../index.ts";
import { OpenedWork } from "../tally/job.ts";
import { type PlainEntry, readEntry } from "./entries.ts";
import { foundKind } from "./found.ts";
import { answerCalls } from "./pool.ts";
import type { Portion, Report, Said, Seen, Task } from "./threads.ts";

// There is a thread for every core already.
sharp.concurrency(1);

await answerCalls<undefined, Task, Seen>(() => async ({ work, port }) => {
  const opened = await OpenedWork.open(work, foundKind());
  try {
    let report: Report = { done: 0, skipped: [], warned: [], noted: [], seen: [] };
    for (;;) {
      port.postMessage(report);
      const [portion] = (await once(port, "message")) as [Portion];
      if (!portion.length) break;
      report = await add(opened, portion);
    }
    return opened.tallies.map((tally) => (tally.isList ? undefined : tally.write()));
  } finally {
    opened.close();
    port.close();
  }
});

async function add(opened: OpenedWork, portion: Portion): Promise<Report> {
  let done = 0;
  const [skipped, warned, noted]: Said[][] = [[], [], []];
  for (const { index, plain } of portion) {
    let picture: EvaluationItem;
    try {
      picture = await readEntry(plain as PlainEntry, (message) => noted.push([index, message]));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      skipped.push([index, error.message]);
      continue;
    }
    if (picture.picture.warning !== undefined) warned.push([index, picture.picture.warning]);
    await opened.add({ index, picture });
    done++;
  }
  return { done, skipped, warned, noted, seen: opened.takeLists() };
}
