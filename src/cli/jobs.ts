/** `ncnnkit jobs`: what is in a queue. */
import { counted } from "../base/text.ts";
import { UsageError } from "../node.ts";
import { dashboard, jobOf, queueState } from "../queue/jobs.ts";
import { shownAddress } from "../queue/protocol.ts";
import { command, flag, option } from "./command.ts";
import { jsonOption, numberIn } from "./options.ts";
import { printJson, type Terminal, table } from "./terminal.ts";

export const jobs = command({
  name: "jobs",
  about: "what is in a queue: counts, workers, and what is at work, waits or failed",
  arguments: [
    ["<address>", "the Redis (or Valkey) server: redis://host:6379"],
    ["[id]", "a job to show with everything that is known of it"],
  ],
  options: {
    dashboard: flag("--dashboard", "serve bull-board, which shows the queue in a browser"),
    port: option("--port <n>", "port of the dashboard; 0 takes a free one", numberIn(0, 65535, true), 8081),
    host: option("--host <address>", "address of the dashboard", String, "127.0.0.1"),
    ...jsonOption,
  },
  notes: `
A batch is done when its shards are; its failure is that of a shard. Nothing can be changed here: Ctrl-C on the command that
gave out the work takes it back. The dashboard asks for no password and shows names of pictures: mind --host.

Examples:
  ncnnkit jobs redis://queue.local:6379
  ncnnkit jobs redis://queue.local:6379 --dashboard`,
  async run([address, id], options, terminal) {
    if (options.dashboard) return serveDashboard(address, options, terminal);
    if (id !== undefined) {
      const job = await jobOf(address, id);
      if (!job) throw new UsageError(`${id}: there is no such job in ${shownAddress(address)}`);
      return printJson(terminal, job);
    }
    const state = await queueState(address);
    if (options.json) return printJson(terminal, state);
    const { counts, workers, jobs: rows } = state;
    terminal.out(table(Object.entries(counts).map(([name, count]) => [name, String(count)])));
    terminal.out(
      `${counted(workers.length, "worker")}${workers.map((each) => `\n  ${each.address}, since ${each.seconds} s`).join("")}\n`,
    );
    if (!rows.length) return;
    terminal.out(
      table([
        ["", "state", "done", "begun", "id", "why"],
        ...rows.map(({ kind, title, state: now, done, shards, begun, id: job, failure = "" }) => [
          `${kind}${title ? ` of ${title}` : ""}`,
          now,
          shards === undefined ? "" : `${done} of ${shards}`,
          String(begun),
          job,
          failure.slice(0, 200),
        ]),
      ]),
    );
  },
});

async function serveDashboard(
  address: string,
  { port, host }: { port: number; host: string },
  terminal: Terminal,
): Promise<void> {
  const { Hono } = await import("hono");
  const { listen } = await import("../node/serve/listen.ts");
  const board = await dashboard(address, "/");
  const app = new Hono().route("/", board.routes);
  const server = await listen(app, { port, host });
  terminal.err(`${server.url} (Ctrl-C ends it)\n`);
  await new Promise<void>((resolve) => process.once("SIGINT", resolve).once("SIGTERM", resolve));
  await server.stop();
  await board.close();
}
