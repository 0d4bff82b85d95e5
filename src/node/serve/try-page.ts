/** The page at `/`: choose a picture, see what is on it. No dependency, one file, nothing from elsewhere. */
import { createHash } from "node:crypto";

const style = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); --soft: color-mix(in srgb, currentColor 6%, transparent); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.25rem; font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.25rem; margin: 0; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: baseline; margin-bottom: 1rem; }
header p { margin: 0; opacity: .75; }
form { display: flex; flex-wrap: wrap; gap: .75rem; align-items: end; margin-bottom: 1rem; }
label { display: grid; gap: .25rem; font-size: .875rem; min-width: 0; }
select, input, button { font: inherit; padding: .5rem .625rem; border: 1px solid var(--line); border-radius: .5rem; background: transparent; color: inherit; max-width: 100%; }
select option { color: black; background: white; }
input[type=range] { padding: 0; height: 2.25rem; width: 10rem; margin: 0; border: 0; }
.pick { display: inline-grid; place-content: center; min-height: 2.625rem; padding: .5rem 1rem; border-radius: .5rem; background: #2563eb; color: white; cursor: pointer; font-size: 1rem; }
.pick:focus-within { outline: 2px solid; outline-offset: 2px; }
.pick input { position: absolute; opacity: 0; width: 1px; height: 1px; }
main { display: grid; gap: 1rem; grid-template-columns: minmax(0, 1fr); }
@media (min-width: 48rem) { main { grid-template-columns: minmax(0, 3fr) minmax(14rem, 2fr); align-items: start; } }
figure { margin: 0; display: grid; place-items: center; min-height: 12rem; border: 1px dashed var(--line); border-radius: .75rem; background: var(--soft); overflow: hidden; }
figure.over { border-color: #2563eb; border-style: solid; }
figure img { display: block; max-width: 100%; max-height: 75vh; }
figure p { padding: 1rem; text-align: center; opacity: .75; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .375rem .25rem; border-bottom: 1px solid var(--line); text-align: left; font-weight: normal; overflow-wrap: anywhere; }
td + td, th + th { text-align: right; white-space: nowrap; }
th { font-size: .875rem; opacity: .75; }
#status { min-height: 1.5rem; margin: 0 0 .5rem; }
#status.bad { color: #b91c1c; font-weight: 600; }
@media (prefers-color-scheme: dark) { #status.bad { color: #fca5a5; } }
pre { margin: .5rem 0 0; padding: .75rem; border-radius: .5rem; background: var(--soft); font-size: .8125rem; white-space: pre-wrap; overflow-wrap: anywhere; }
[hidden] { display: none !important; }
`;

const script = `
const $ = (id) => document.getElementById(id);
let file, round = 0;
const headers = () => ($("token").value ? { authorization: "Bearer " + $("token").value } : {});
const say = (text, bad) => { $("status").textContent = text; $("status").className = bad ? "bad" : ""; };
async function ask(url, options) {
  const response = await fetch(url, { ...options, headers: { ...options?.headers, ...headers() } });
  if (response.ok) return response;
  if (response.status === 401) $("secret").hidden = false;
  const { error } = await response.json().catch(() => ({}));
  throw new Error(error ?? "the server answered " + response.status);
}
async function models() {
  try {
    const api = await (await ask("openapi.json")).json();
    const query = api.paths["/detect"].post.parameters.find((one) => one.name === "model").schema.enum;
    $("model").replaceChildren(...query.map((name) => new Option(name)));
    say("Choose a picture, drop one, or paste one.");
    command();
  } catch (error) { say(error.message, true); }
}
function command() {
  const type = ' -H "content-type: ' + (file?.type || "image/jpeg") + '"';
  const token = $("token").value ? ' -H "authorization: Bearer $TOKEN"' : "";
  $("curl").textContent = "curl" + token + type + " --data-binary @" + (file ? "picture" : "photo.jpg") + ' "' + new URL("detect?" + query(), location.href) + '"';
}
const query = () => new URLSearchParams({ model: $("model").value, confidence: $("confidence").value }).toString();
async function detect() {
  if (!file) return;
  const mine = ++round;
  say("…");
  command();
  try {
    const start = performance.now();
    const send = { method: "POST", body: file, headers: { "content-type": file.type || "application/octet-stream" } };
    const { images: [image], task } = await (await ask("detect?" + query(), send)).json();
    const time = Math.round(performance.now() - start);
    const drawn = await (await ask("detect?draw=1&" + query(), send)).blob();
    if (mine !== round) return;
    URL.revokeObjectURL($("drawn").src);
    $("drawn").src = URL.createObjectURL(drawn);
    $("drawn").alt = "The picture with what was found";
    $("drawn").hidden = false;
    $("hint").hidden = true;
    const found = image.detections;
    $("rows").replaceChildren(...found.map(({ label, score, box }) => {
      const row = document.createElement("tr");
      const place = box ? [box.x, box.y, box.width, box.height].map(Math.round).join(" ") : "";
      for (const text of [label, score.toFixed(2), place]) row.append(Object.assign(document.createElement("td"), { textContent: text }));
      return row;
    }));
    $("table").hidden = !found.length;
    const what = task === "classify" ? (found.length === 1 ? " class" : " classes") : found.length === 1 ? " object" : " objects";
    say(found.length + what + " on " + image.width + "×" + image.height + " pixels, " + time + " ms");
  } catch (error) { if (mine === round) say(error.message, true); }
}
function take(files) { if (files?.length) { file = files[0]; detect(); } }
$("file").addEventListener("change", () => take($("file").files));
$("model").addEventListener("change", () => { command(); detect(); });
$("confidence").addEventListener("input", () => { $("least").textContent = Number($("confidence").value).toFixed(2); });
$("confidence").addEventListener("change", () => { command(); detect(); });
$("token").addEventListener("change", () => models().then(detect));
const area = $("area");
addEventListener("dragover", (event) => { event.preventDefault(); area.classList.add("over"); });
addEventListener("dragleave", () => area.classList.remove("over"));
addEventListener("drop", (event) => { event.preventDefault(); area.classList.remove("over"); take(event.dataTransfer.files); });
addEventListener("paste", (event) => take(event.clipboardData.files));
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
models();
`;

/** The page, for every model that is served. */
export const tryPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>ncnnkit serve</title>
<style>${style}</style>
<header><h1>ncnnkit serve</h1><p>What is on a picture, by the models on this server.</p></header>
<form>
  <label class="pick">Choose a picture<input id="file" type="file" accept="image/*"></label>
  <label>Model<select id="model"></select></label>
  <label><span>Least score <output id="least">0.25</output></span><input id="confidence" type="range" min="0.05" max="0.95" step="0.05" value="0.25"></label>
  <label id="secret" hidden>Token<input id="token" type="password" autocomplete="off"></label>
</form>
<p id="status" role="status" aria-live="polite"></p>
<main>
  <figure id="area"><img id="drawn" hidden><p id="hint">Drop a picture here</p></figure>
  <section>
    <table id="table" hidden><thead><tr><th>Object</th><th>Score</th><th>x y width height</th></tr></thead><tbody id="rows"></tbody></table>
    <pre><code id="curl"></code></pre>
  </section>
</main>
<script>${script}</script>
</html>
`;

const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Its Content-Security-Policy: its own script and style, pictures that it made, and this server. */
export const tryPagePolicy = [
  "default-src 'none'",
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  "img-src blob: data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");
