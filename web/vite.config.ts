/** How the page is built: static files with relative addresses, a service worker that knows them all, and icons. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import sharp from "sharp";
import { defineConfig, type Plugin } from "vite";

const folder = import.meta.dirname;
const headers = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};
const iconSizes = [180, 192, 512];
/** The model of the package, which the page offers (`public/models.json`) and keeps with itself. */
const shippedModel = { address: "models/codefinder.pt", file: path.join(folder, "../models/codefinder.pt") };

/** Puts the shipped model where the page looks for it. */
function shipModel(): Plugin {
  return {
    name: "ncnnkit-ship-model",
    configureServer({ middlewares }) {
      middlewares.use(`/${shippedModel.address}`, (_, response) => {
        response.end(readFileSync(shippedModel.file));
      });
    },
    generateBundle() {
      this.emitFile({
        type: "asset",
        fileName: shippedModel.address,
        source: readFileSync(shippedModel.file),
      });
    },
  };
}

/** Writes `sw.js` with the list of files to keep, and PNG icons for systems that take no SVG. */
function offline(): Plugin {
  return {
    name: "ncnnkit-offline",
    apply: "build",
    enforce: "post",
    async writeBundle({ dir = "" }) {
      for (const side of iconSizes) {
        const icon = sharp(path.join(folder, "public/icon.svg"), { density: 192 }).resize(side, side).png();
        await icon.toFile(path.join(dir, `icon-${side}.png`));
      }
      const files = pageFiles(dir);
      const hash = createHash("sha256");
      for (const name of files) hash.update(name).update(readFileSync(path.join(dir, name || "index.html")));
      const script = readFileSync(path.join(folder, "sw.js"), "utf8")
        .replace("self.__FILES__", JSON.stringify(files.map((name) => `./${name}`)))
        .replace("self.__VERSION__", JSON.stringify(hash.digest("hex").slice(0, 12)));
      writeFileSync(path.join(dir, "sw.js"), script);
    },
  };
}

/** Names of the page's files; models of the host are kept when they are first used, not with the page. `""` is the page itself. */
function pageFiles(dir: string): string[] {
  const names = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, "/"));
  const kept = names.filter(
    (name) => name === shippedModel.address || !/^(index\.html|sw\.js)$|^models\//.test(name),
  );
  return ["", ...kept.sort()];
}

export default defineConfig({
  root: folder,
  base: "./",
  build: {
    outDir: path.join(folder, "../dist-web"),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
  server: { headers },
  preview: { headers },
  plugins: [shipModel(), offline()],
});
