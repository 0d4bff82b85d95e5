// A Cloudflare worker: pictures of raw RGB bytes in the body of POST /?width=640&height=480, boxes as JSON. Modules are compiled by the platform,
// which allows no compiling at run time: the portable file is imported, and handed to the module beside it.

import { load } from "./detector.js";
import module from "./detector.wasm";

const loading = load({ module });

export default {
  async fetch(request) {
    const { searchParams } = new URL(request.url);
    const [width, height] = ["width", "height"].map((name) => Number(searchParams.get(name)));
    const detector = await loading;
    try {
      const data = new Uint8Array(await request.arrayBuffer());
      return Response.json(detector.detect({ width, height, data }));
    } catch (error) {
      return Response.json({ error: error.message }, { status: 400 });
    }
  },
};
