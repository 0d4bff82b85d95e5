/** Boxes on one picture: node examples/detect.js MODEL PICTURE [DRAWN] */
import { drawDetections, load, readPicture, writePicture } from "ncnnkit/node";

const [source, file, drawn] = process.argv.slice(2);
const model = await load(source); // a checkpoint, an ONNX file, a .param, a manifest, a folder, or a name like "codefinder"
const picture = await readPicture(file);

const detections = await model.detect(picture, { confidence: 0.4 });
for (const { label, score, box } of detections) {
  // Classes of whole pictures have no box; masks, key points and turned boxes are told by `task`.
  console.log(label, score.toFixed(3), ...(box ? [box.x, box.y, box.width, box.height].map(Math.round) : []));
}

if (drawn) await writePicture(drawn, drawDetections(picture, detections));
model.close(); // frees the engine's memory and its threads
