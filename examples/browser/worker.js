/** The worker: loads the model once, then answers pictures with boxes, so that the page never waits. */
import { load } from "ncnnkit";
import bin from "../../models/codefinder-int8/codefinder-int8.bin?url";
import manifest from "../../models/codefinder-int8/codefinder-int8.json?url";
import param from "../../models/codefinder-int8/codefinder-int8.param?url";

const bytesOf = async (url) => (await fetch(url)).arrayBuffer();
// A model whose files lie side by side under their own names is just load("models/codefinder-int8.json").
const loading = Promise.all([manifest, param, bin].map(bytesOf)).then(([json, text, weights]) =>
  load({ manifest: json, param: text, bin: weights }),
);

self.onmessage = async ({ data: picture }) => {
  try {
    const model = await loading;
    if (picture.start) return self.postMessage({ labels: model.manifest.labels });
    const start = performance.now();
    const detections = await model.detect(picture, { size: 320 });
    self.postMessage({ detections, milliseconds: performance.now() - start });
  } catch (error) {
    self.postMessage({ error: error.message });
  }
};
