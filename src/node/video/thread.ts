/** The thread of a video: reads, watches for movement, draws and writes, so that the other one does nothing but compute. */
import { parentPort, workerData } from "node:worker_threads";
import { type Picture, UsageError } from "../../index.ts";
import { createMotionGate, drawInto, lettered } from "../../steps.ts";
import { fontLetterer } from "../lettering.ts";
import { Decoder } from "./_decoder.ts";
import { Encoder } from "./_encoder.ts";
import { type Drawing, drawOptions, type Job, type Said, type Told } from "./_protocol.ts";
import { sameness } from "./_sameness.ts";

const port = parentPort;
if (!port) throw new UsageError("this is the thread of a video; openVideo starts it");
const job = workerData as Job;
const say = (message: Said): void => port.postMessage(message);

const gate = job.motion && createMotionGate(job.motion);
let encoder: Encoder | undefined;
let started = 0;
let [wanted, given, ended] = [0, 0, false];
const isSame = sameness(job.uneven);
/** Full slots that nobody took yet. */
const ready: { slot: number; index: number; time: number }[] = [];

const decoder = new Decoder(job.ffmpeg, job.decode, job, {
  child: (pid) => say({ is: "child", pid }),
  opened: (width, height, rate, slots) => {
    const { live, encode } = job;
    if (encode) {
      encoder = new Encoder(job.ffmpeg, encode, { width, height, rate, live }, (pid) =>
        say({ is: "child", pid }),
      );
    }
    say({ is: "opened", width, height, rate, slots });
  },
  frame: (slot) => {
    const now = performance.now();
    started ||= now;
    // Of a live source only the newest is of interest.
    while (job.live && ready.length) drop();
    ready.push({ slot, index: decoder.frames - 1, time: (now - started) / 1000 });
    hand();
  },
  ended: () => {
    ended = true;
    hand();
  },
});

function drop(): void {
  const old = ready.shift();
  if (!old) return;
  decoder.dropped++;
  decoder.release(old.slot);
}

const pictureOf = (slot: number): Picture & { data: Uint8Array } => {
  const { width, height, slots } = decoder;
  return { width, height, channels: 4, data: new Uint8Array(slots[slot]) };
};

/** Gives out what is ready to who wants it, and the end when nothing more will be. */
function hand(): void {
  while (wanted > 0 && ready.length) {
    const next = ready.shift();
    if (!next) break;
    wanted--;
    given++;
    const picture = pictureOf(next.slot);
    const same = isSame(picture.data);
    say({ is: "frame", ...next, same, moved: gate ? gate.moved(picture) : true });
  }
  // Not before the last frames are back, which may have to be encoded.
  if (ended && !ready.length && !given && wanted > 0) void finish();
}

let finishing: Promise<void> | undefined;
function finish(): Promise<void> {
  finishing ??= (async () => {
    await encoder?.finish();
    const { frames, dropped, complaint, failed, stalled } = decoder;
    say({
      ...{ is: "ended", frames, dropped, complaint, failed, stalled },
      ...{ encoded: encoder?.encoded ?? 0, encodeError: encoder?.error },
    });
    port?.close();
  })();
  return finishing;
}

async function draw(slot: number, drawing: Drawing): Promise<void> {
  const { detections } = drawing;
  const canvas = pictureOf(slot);
  drawInto(canvas, detections, await lettered(canvas, detections, fontLetterer, drawOptions(drawing)));
}

port.on("message", (told: Told) => {
  switch (told.do) {
    case "next":
      wanted++;
      hand();
      return;
    case "stop":
      decoder.stop();
      for (const { slot } of ready.splice(0)) decoder.release(slot);
      return;
    case "release": {
      const { slot, drawing } = told;
      const done = (): void => decoder.release(slot);
      if (encoder && drawing) encoder.write(decoder.slots[slot], () => draw(slot, drawing), done);
      else done();
      given--;
      hand();
    }
  }
});
