/** A run of the benchmark as a picture to show around. */
import { type BenchmarkRun, ms } from "./benchmark.ts";
import { t } from "./words.ts";

const width = 1080;
const rowHeight = 40;
const top = 150;
const font = "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', sans-serif";

/** A bar for each network, as long as its median; `statement` says what it was measured on. */
export async function drawResult(run: BenchmarkRun, statement: string): Promise<Blob> {
  const rows = run.results.filter(({ timing }) => timing);
  const canvas = new OffscreenCanvas(width, top + rows.length * rowHeight + 70);
  const context = canvas.getContext("2d");
  if (!context) throw new Error(t("This browser cannot draw the picture."));
  context.fillStyle = "#14171a";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.textBaseline = "middle";
  const write = (text: string, x: number, y: number, size: number, color: string, weight = 400): void => {
    context.font = `${weight} ${size}px ${font}`;
    context.fillStyle = color;
    context.fillText(text, x, y, width - x - 40);
  };
  write(t("ncnn's benchmark in a browser"), 40, 56, 34, "#e7eaec", 680);
  write(statement, 40, 104, 20, "#a0aab3");
  const most = Math.max(...rows.map(({ timing }) => timing?.median ?? 0), 1);
  rows.forEach(({ name, timing }, i) => {
    if (!timing) return;
    const y = top + (i + 0.5) * rowHeight;
    write(name, 40, y, 20, "#e7eaec");
    const long = Math.max((timing.median / most) * (width - 340 - 160), 3);
    context.fillStyle = name.endsWith("_int8") ? "#f2b138" : "#6aaeea";
    context.fillRect(300, y - 11, long, 22);
    write(`${ms(timing.median)} ms`, 312 + long, y, 20, "#e7eaec", 600);
  });
  const { date } = run;
  write(
    t("Median of one inference; shorter is better. {date}", { date: date.slice(0, 10) }),
    40,
    canvas.height - 34,
    18,
    "#a0aab3",
  );
  return canvas.convertToBlob({ type: "image/png" });
}
