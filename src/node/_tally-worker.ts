/** A thread of `Threads`: asks for pictures until there are none, and adds them to tallies of its own. */
import { once } from "node:events";
import sharp from "sharp";
import { OpenedWork } from "../tally/job.ts";
import { type PlainEntry, readFor } from "./entries.ts";
import { foundKind } from "./found.ts";
import { answerCalls } from "./pool.ts";
import type { Portion, Report, Seen, Task } from "./threads.ts";

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
  const remarks = { skipped: [], warned: [], noted: [] };
  for (const { index, plain } of portion) {
    const picture = await readFor(remarks, index, plain as PlainEntry);
    if (!picture) continue;
    await opened.add({ index, picture });
    done++;
  }
  return { done, ...remarks, seen: opened.takeLists() };
}
