/** A folder of pictures to a CSV file, a line a box: node examples/folder-to-csv.js MODEL FOLDER CSV */
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { isObject, listPictures, load, readPicture } from "ncnnkit/node";

const [source, folder, csv] = process.argv.slice(2);
const model = await load(source, { threads: 2 });
const pictures = await listPictures(folder);

const out = createWriteStream(csv);
out.write("picture,label,score,x,y,width,height\n");
const quoted = (text) => `"${text.replaceAll('"', '""')}"`;

for (const [i, file] of pictures.entries()) {
  const found = await model.detect(await readPicture(file));
  for (const { label, score, box } of found.filter(isObject)) {
    const numbers = [score.toFixed(4), ...[box.x, box.y, box.width, box.height].map((n) => n.toFixed(1))];
    out.write(`${[quoted(file), quoted(label), ...numbers].join(",")}\n`);
  }
  process.stderr.write(`\r${i + 1}/${pictures.length}`);
}
process.stderr.write("\n");

await finished(out.end());
model.close();
