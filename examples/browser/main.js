/** The page: hands pictures to the worker and draws the boxes that come back. */
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const input = document.querySelector("input");
const status = document.querySelector("[role=status]");
const canvas = document.querySelector("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });

/** Answers come in the order of the questions. */
const ask = (message, transfer = []) =>
  new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data));
    worker.postMessage(message, transfer);
  });

async function show(file) {
  const bitmap = await createImageBitmap(file);
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  context.drawImage(bitmap, 0, 0);
  const { width, height, data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const { detections, milliseconds } = await ask({ width, height, data }, [data.buffer]);
  context.lineWidth = Math.max(2, canvas.width / 200);
  context.strokeStyle = "#e0233e";
  for (const { box } of detections) context.strokeRect(box.x, box.y, box.width, box.height);
  const found = detections.map(({ label, score }) => `${label} ${score.toFixed(2)}`).join(", ");
  status.textContent = `${found || "nothing found"} (${milliseconds.toFixed(0)} ms)`;
}

const run = (job) => job().catch((error) => (status.textContent = error.message));
input.addEventListener("change", () => input.files[0] && run(() => show(input.files[0])));
await run(async () => {
  const { labels } = await ask({ start: true });
  status.textContent = `Ready: finds ${labels.join(", ")}.`;
});
