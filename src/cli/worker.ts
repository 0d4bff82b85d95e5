/** `ncnnkit worker`: takes work from a queue. */
import os from "node:os";
import { counted } from "../base/text.ts";
import { shownAddress } from "../queue/protocol.ts";
import { QueueWorker } from "../queue/worker.ts";
import { command, flag, option, required } from "./command.ts";
import { numberIn } from "./options.ts";

/** Exit status of a process that was told to end, as shells have it. */
const interrupted = 130;

export const worker = command({
  name: "worker",
  about: "take pictures from a queue: what calibrate, eval, deploy and detect with --queue give out",
  arguments: [["<address>", "the Redis (or Valkey) server: redis://host:6379"]],
  options: {
    shared: required("--shared <dir>", "folder that this machine shares with who gives out work"),
    jobs: option(
      "--jobs <n>",
      "shards at a time, each in a thread (default: one a core)",
      numberIn(1, 256, true),
    ),
    patience: option(
      "--patience <seconds>",
      "after so long without a sign of life others take over a worker's shards",
      numberIn(1, 3600),
      30,
    ),
    telemetry: flag("--telemetry", "traces of jobs by OpenTelemetry"),
  },
  notes: `
Ctrl-C (or SIGTERM) ends it after the shards that it is at; a second time at once, and others take them over.
Pictures by address may come from any host; NCNNKIT_PICTURE_HOSTS=a.org,*.b.org names the only ones.

Examples:
  ncnnkit worker redis://queue.local:6379 --shared /mnt/pictures
  ncnnkit worker redis://:secret@queue.local:6379/2 --shared /mnt/pictures --jobs 4`,
  async run([address], { shared, jobs = os.availableParallelism(), patience, telemetry }, terminal) {
    const say = (message: string): void => terminal.err(`${message}\n`);
    const running = await QueueWorker.start(address, { shared, jobs, patience, telemetry, say });
    say(`${counted(jobs, "shard")} at a time from ${shownAddress(address)}, shared folder ${shared}`);
    await new Promise<void>((resolve) => {
      let isEnding = false;
      const stop = (): void => {
        // Others take over its shards; without a server there is nobody to tell.
        if (isEnding || running.isCut) process.exit(interrupted);
        isEnding = true;
        say("ending after the shards that are at work; once more ends at once");
        void running.close().then(resolve);
      };
      process.on("SIGINT", stop);
      process.on("SIGTERM", stop);
    });
  },
});
