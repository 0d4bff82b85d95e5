// A module worker of a page: pictures come in, boxes go out. ./detector.js is a file of `ncnnkit compile`.
import { detect } from "./detector.js";

self.onmessage = async ({ data: { picture, options } }) => {
  postMessage(await detect(picture, options));
};
