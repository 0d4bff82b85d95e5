/** `detect` on videos: every frame once, all that is written, odd and broken clips, sources that go away, Ctrl-C. */
import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "vitest";
import { readPicture } from "../../src/node.ts";
import { parseTracks } from "../../src/steps.ts";
import { ffmpeg, streamsOf, testVideo } from "./_clips.ts";
import { put, run, temporaryFolder, tinyFiles } from "./_run.ts";

const folder = temporaryFolder();
const at = (name: string): string => path.join(folder, name);
const codefinder = path.resolve(import.meta.dirname, "../../models/codefinder-int8");
let clip = "";
let tiny = "";
const lines = (file: string): string[] => readFileSync(file, "utf8").trim().split("\n");
const frames = (
  text: string,
): { frame: number; time: number; held?: boolean; detections: { track?: number; box: { x: number } }[] }[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

beforeAll(async () => {
  tiny = put(folder, tinyFiles());
  try {
    // A code from the generator, which slides over grey; 40 frames with sound.
    const { generatePicture } = await import("../../training/pictures/index.ts");
    const { encodePicture } = await import("../../src/node.ts");
    const { picture } = generatePicture(12, { split: "held-out" });
    writeFileSync(at("code.png"), await encodePicture(picture, "code.png"));
    clip = at("clip.mp4");
    ffmpeg(
      `-f lavfi -i color=gray:size=640x360:rate=20 -loop 1 -i ${at("code.png")} -f lavfi -i sine=440 -filter_complex [0][1]overlay=x=10+120*t:y=20 -t 2 -pix_fmt yuv420p -c:a aac ${clip}`,
    );
  } catch {
    // Without ffmpeg nothing of this is needed.
  }
});

testVideo("every frame once, in order, as the pictures that ffmpeg writes of them", async () => {
  const { code, out } = await run("detect", codefinder, clip, "--json");
  expect(code).toBe(0);
  const found = frames(out);
  expect(found.map(({ frame }) => frame)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  expect(found[10].time).toBeCloseTo(0.5, 3);
  ffmpeg(`-i ${clip} -vf select=eq(n\\,10) -frames:v 1 ${at("ten.png")}`);
  const single = JSON.parse((await run("detect", codefinder, at("ten.png"), "--json")).out);
  expect(found[10].detections.length).toBeGreaterThan(0);
  expect(found[10].detections).toEqual(single.images[0].detections);
});

testVideo("the annotated video, lines, tracks, texts", async () => {
  const out = at("all");
  const { code, err } = await run("detect", codefinder, clip, "--out", out, "--track", "--save", "txt");
  expect(err).toMatch(/40 frames, .* frames a second \(the video has 20\)/);
  expect(code).toBe(0);
  expect(readdirSync(out).sort()).toEqual(["clip", "clip.csv", "clip.mot.txt", "clip.mp4", "clip.ndjson"]);
  const [video, sound] = streamsOf(path.join(out, "clip.mp4"));
  expect([video.width, video.height, video.nb_read_frames, video.r_frame_rate]).toEqual([
    640,
    360,
    "40",
    "20/1",
  ]);
  expect(sound.codec_type).toBe("audio");
  expect(Number(sound.duration)).toBeCloseTo(2, 1);
  const rows = parseTracks(readFileSync(path.join(out, "clip.mot.txt"), "utf8"), "mot");
  expect(lines(path.join(out, "clip.csv"))).toHaveLength(rows.length + 1);
  expect(lines(path.join(out, "clip.csv"))[0]).toBe("frame,time,track,label,score,x,y,width,height");
  expect(rows.length).toBeGreaterThan(20);
  // What slides keeps its identity.
  const first = rows.filter(({ frame }) => frame === 5).map(({ id }) => id);
  expect(first.length).toBeGreaterThan(0);
  expect(rows.filter(({ frame }) => frame === 35).map(({ id }) => id)).toEqual(expect.arrayContaining(first));
  expect(readdirSync(path.join(out, "clip"))).toHaveLength(40);
  // The box is drawn: its colour is where the code without it is not.
  ffmpeg(`-i ${path.join(out, "clip.mp4")} -vf select=eq(n\\,20) -frames:v 1 ${at("drawn.png")}`);
  ffmpeg(`-i ${clip} -vf select=eq(n\\,20) -frames:v 1 ${at("plain.png")}`);
  const [drawn, plain] = [await readPicture(at("drawn.png")), await readPicture(at("plain.png"))];
  const changed = drawn.data.filter((level, i) => Math.abs(level - plain.data[i]) > 60).length;
  expect(changed).toBeGreaterThan(500);
  expect(changed).toBeLessThan(drawn.data.length / 4);
});

testVideo("every n-th frame, from a start, for a duration", async () => {
  const { out } = await run(
    "detect",
    codefinder,
    clip,
    "--json",
    "--every",
    "4",
    "--start",
    "0:00.5",
    "--duration",
    "1",
  );
  expect(frames(out).map(({ frame, time }) => [frame, time])).toEqual([
    [11, 0.5],
    [15, 0.7],
    [19, 0.9],
    [23, 1.1],
    [27, 1.3],
  ]);
  const result = await run("detect", codefinder, clip, "--out", at("some"), "--every", "4");
  expect(result.code).toBe(0);
  const [video] = streamsOf(at("some/clip.mp4"));
  expect([video.nb_read_frames, video.r_frame_rate]).toEqual(["10", "5/1"]);
  expect((await run("detect", codefinder, clip, "--start", "7")).err).toContain(
    "the video has 2.00 s, so there is nothing from 7 s on",
  );
});

testVideo("counting at a line and in a region", async () => {
  const counting = put(folder, {
    "count.json": JSON.stringify({
      point: "center",
      lines: [{ name: "post", from: [330, 360], to: [330, 0] }],
      regions: [
        {
          name: "half",
          polygon: [
            [330, 0],
            [640, 0],
            [640, 360],
            [330, 360],
          ],
        },
      ],
    }),
  });
  const out = at("counted");
  const result = await run("detect", codefinder, clip, "--out", out, "--track", "--count", counting);
  expect(result.code).toBe(0);
  const [post, half] = JSON.parse(readFileSync(path.join(out, "clip.counts.json"), "utf8"));
  expect(post).toMatchObject({ name: "post", out: 0 });
  expect(post.in).toBeGreaterThan(0);
  expect(half.in).toBe(post.in);
  expect(result.out).toMatch(/^post: \d in, 0 out; .*\nhalf: \d in, 0 out; .*inside/);
  const events = lines(path.join(out, "clip.events.ndjson")).map((line) => JSON.parse(line));
  expect(events.filter(({ name, kind }) => name === "post" && kind === "in")).toHaveLength(post.in);
  expect(events.at(-1)).toMatchObject({ name: "half", kind: "out", by: "end" });
});

testVideo("--when-moving searches only what moves", async () => {
  ffmpeg(
    `-f lavfi -i color=gray:size=320x240:rate=10 -loop 1 -i ${at("code.png")} -filter_complex [1]scale=120:-1[c];[0][c]overlay=x=20+80*max(0\\,t-2):y=20 -t 4 -pix_fmt yuv420p ${at("still.mp4")}`,
  );
  const { out, err } = await run("detect", codefinder, at("still.mp4"), "--json", "--when-moving");
  const found = frames(out);
  expect(found).toHaveLength(40);
  expect(found.slice(5, 20).every(({ held }) => held)).toBe(true);
  expect(found.slice(22).every(({ held }) => !held)).toBe(true);
  expect(found[15].detections).toEqual(found[3].detections);
  expect(err).toMatch(/\d+ as before/);
});

testVideo("a folder of videos, each under its own name", async () => {
  mkdirSync(at("videos"));
  ffmpeg(`-i ${clip} -t 0.3 -c copy ${at("videos/a.mp4")}`);
  ffmpeg(`-i ${clip} -t 0.3 -c copy ${at("videos/a.mkv")}`);
  const { code, out } = await run("detect", tiny, at("videos"), "--out", at("both"), "--json");
  expect(code).toBe(0);
  expect(readdirSync(at("both")).sort()).toEqual(["a-2.mp4", "a-2.ndjson", "a.mkv", "a.ndjson"]);
  expect(
    new Set(
      out
        .trim()
        .split("\n")
        .map((line) => path.basename(JSON.parse(line).video)),
    ),
  ).toEqual(new Set(["a.mp4", "a.mkv"]));
});

testVideo("odd sizes, turned and uneven clips", async () => {
  const odd = async (name: string, how: string): Promise<[number, number, string]> => {
    ffmpeg(`${how} ${at(name)}`);
    const result = await run("detect", tiny, at(name), "--out", at("odd"));
    expect(result.err).not.toContain("error");
    expect(result.code).toBe(0);
    const [video] = streamsOf(path.join(at("odd"), name));
    return [video.width, video.height, video.nb_read_frames];
  };
  const colour = (size: string): string =>
    `-f lavfi -i color=red:size=${size}:rate=10,format=gbrp -t 0.5 -c:v ffv1`;
  expect(await odd("1x1.mkv", colour("1x1"))).toEqual([2, 2, "5"]);
  expect(await odd("3x5.mkv", colour("3x5"))).toEqual([4, 6, "5"]);
  expect(await odd("turned.mp4", `-i ${clip} -c copy -metadata:s:v rotate=90`)).toEqual([360, 640, "40"]);
  const uneven = `-f lavfi -i testsrc=size=64x48:rate=30 -t 2 -vf select=lt(t\\,1)+not(mod(n\\,5)) -vsync vfr -pix_fmt yuv420p`;
  const [width, height, count] = await odd("uneven.mp4", uneven);
  expect([width, height]).toEqual([64, 48]);
  // As long as the clip.
  expect(Number(count)).toBeGreaterThan(50);
  expect(Number(count)).toBeLessThan(62);
});

testVideo("broken clips are told, and what can be read is kept", async () => {
  const bytes = readFileSync(clip);
  put(folder, { "empty.mp4": "", "text.mp4": "no video", "cut.mp4": bytes.subarray(0, 20_000) });
  ffmpeg(`-i ${clip} -c copy ${at("half.mkv")}`);
  truncateSync(at("half.mkv"), Math.floor(statSync(at("half.mkv")).size * 0.6));
  ffmpeg(`-f lavfi -i sine=440 -t 1 ${at("sound.mp4")}`);
  for (const [name, message] of [
    ["empty.mp4", "empty.mp4: the file is empty, not a video"],
    ["text.mp4", "text.mp4: not a video that can be read: "],
    ["cut.mp4", "cut.mp4: not a video that can be read: moov atom not found"],
    ["sound.mp4", "sound.mp4: there is no video in this file, only audio"],
    ["none.mp4", "none.mp4: there is no such file or camera"],
  ]) {
    const { code, err } = await run("detect", tiny, at(name), "--out", at("broken"));
    expect(err).toContain(message);
    expect(code).toBe(1);
    expect(existsSync(at("broken"))).toBe(false);
  }
  const { code, err } = await run("detect", tiny, at("half.mkv"), "--out", at("halved"));
  expect(code).toBe(0);
  expect(err).toContain("half.mkv: damaged and read as far as it goes");
  const count = lines(at("halved/half.ndjson")).length;
  expect(count).toBeGreaterThan(5);
  expect(Number(streamsOf(at("halved/half.mkv"))[0].nb_read_frames)).toBe(count);
});

/** Once a folder has something in it: the first frame is there. */
async function begun(out: string): Promise<void> {
  for (let i = 0; i < 300 && !(existsSync(out) && readdirSync(out).length); i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

testVideo("a source that goes away is an error, and what was done is kept", async () => {
  const port = 20_000 + (process.pid % 20_000);
  const words = `-nostdin -v error -re -stream_loop -1 -i ${clip} -map 0:v -c copy -f mpegts tcp://127.0.0.1:${port}?listen=1`;
  const sender = spawn("ffmpeg", words.split(" "), { stdio: "ignore" });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const running = run("detect", tiny, `tcp://127.0.0.1:${port}`, "--out", at("gone"));
  await begun(at("gone"));
  await new Promise((resolve) => setTimeout(resolve, 2500));
  sender.kill("SIGKILL");
  const { code, err } = await running;
  expect(err).toMatch(/the source went away after [\d.]+ s: .*; what was done is kept/);
  expect(code).toBe(1);
  const [name] = readdirSync(at("gone")).filter((each) => each.endsWith(".mp4"));
  expect(Number(streamsOf(at(`gone/${name}`))[0].nb_read_frames)).toBeGreaterThan(5);
});

testVideo("Ctrl-C ends a camera, and what was done is kept", async () => {
  const port = 40_000 + (process.pid % 20_000);
  const words = `-nostdin -v error -re -stream_loop -1 -i ${clip} -map 0:v -c copy -f mpegts tcp://127.0.0.1:${port}?listen=1`;
  const sender = spawn("ffmpeg", words.split(" "), { stdio: "ignore" });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const running = run("detect", tiny, `tcp://127.0.0.1:${port}`, "--out", at("ended"));
  await begun(at("ended"));
  await new Promise((resolve) => setTimeout(resolve, 2000));
  process.emit("SIGINT", "SIGINT");
  const { code, err } = await running;
  sender.kill("SIGKILL");
  expect(err).toContain("stopped by Ctrl-C; what was done is kept");
  expect(code).toBe(0);
  const [name] = readdirSync(at("ended")).filter((each) => each.endsWith(".mp4"));
  expect(Number(streamsOf(at(`ended/${name}`))[0].nb_read_frames)).toBeGreaterThan(5);
});

testVideo("Ctrl-C in a file leaves what can be played, and ends the process as it would have", async () => {
  ffmpeg(`-stream_loop 200 -i ${clip} -c copy ${at("long.mp4")}`);
  const program = `import(${JSON.stringify(path.resolve(import.meta.dirname, "../../src/cli/main.ts"))}).then(({ main }) => main(process.argv.slice(1))).then((code) => process.exit(code))`;
  const words = ["detect", tiny, at("long.mp4"), "--out", at("stopped"), "--track"];
  const child = spawn(process.execPath, [...process.execArgv, "-e", program, "--", ...words]);
  let err = "";
  child.stderr.on("data", (text) => {
    err += text;
  });
  await begun(at("stopped"));
  await new Promise((resolve) => setTimeout(resolve, 4000));
  child.kill("SIGINT");
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on("close", (...how) => resolve(how));
  });
  expect(err).toContain("stopped by Ctrl-C; what was done is kept");
  expect([code, signal]).toEqual([null, "SIGINT"]);
  expect(readdirSync(at("stopped")).sort()).toEqual(["long.csv", "long.mot.txt", "long.mp4", "long.ndjson"]);
  const count = lines(at("stopped/long.ndjson")).length;
  expect(count).toBeGreaterThan(5);
  expect(count).toBeLessThan(8000);
  const [video, sound] = streamsOf(at("stopped/long.mp4"));
  expect(Number(video.nb_read_frames)).toBe(count);
  expect(Math.abs(Number(sound.duration) - Number(video.duration))).toBeLessThan(0.2);
});

testVideo("a pipe is read to its end", async () => {
  execFileSync("mkfifo", [at("pipe")]);
  const sender = spawn(
    "ffmpeg",
    `-nostdin -v error -y -i ${clip} -map 0:v -c copy -f mpegts ${at("pipe")}`.split(" "),
  );
  const { code, out } = await run("detect", tiny, at("pipe"), "--json");
  sender.kill();
  expect(code).toBe(0);
  expect(frames(out)).toHaveLength(40);
});

test("words that do not go together", async () => {
  const file = put(folder, { "a.mp4": "x", "b.jpg": "x", "bad.json": "{}" });
  for (const [args, message] of [
    [[file, at("b.jpg")], "b.jpg is no video, and others are"],
    [[at("b.jpg"), "--every", "2"], "--every is for videos and cameras, and there are only pictures"],
    [[at("b.jpg"), "--no-video"], "--no-video is for videos"],
    [[], "name pictures or videos to look at, or --camera"],
    [[file, "--save", "coco", "--out", at("x")], "--save coco is for pictures"],
    [[file, "--no-video"], "--no-video says what not to write to --out"],
    [[file, "--count", at("bad.json")], "--count needs --track"],
    [[file, "--track", "deepsort"], "Allowed: bytetrack, sort."],
    [[file, "--start", "1:x"], "Expected seconds"],
  ] as const) {
    const { code, err } = await run("detect", tiny, ...args);
    expect(err).toContain(message);
    expect(code).toBe(2);
  }
});

test("without ffmpeg it is said how to get it", async () => {
  mkdirSync(at("none"));
  const before = process.env.FFMPEG;
  process.env.FFMPEG = at("none");
  try {
    const { code, err } = await run("detect", tiny, put(folder, { "a.mp4": "x" }));
    expect(err).toMatch(
      /videos need ffprobe, which cannot be started .*FFMPEG=.*: install ffmpeg .*apt install ffmpeg/,
    );
    expect(code).toBe(1);
  } finally {
    if (before === undefined) delete process.env.FFMPEG;
    else process.env.FFMPEG = before;
  }
});
