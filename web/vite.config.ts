/** How the page is built: static files with relative addresses, a service worker that knows them all, and icons. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import sharp from "sharp";
import { defineConfig, type Plugin, type UserConfig } from "vite";
import { type MadeModel, makeFirstModel } from "./first-model.ts";

const folder = import.meta.dirname;
const headers = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};
const iconSizes = [180, 192, 512];
const modelsFolder = path.join(folder, "../models");
/** The files of the package's models, which the page offers (`public/models.json`) and keeps with itself: address to path. */
const shippedFiles = new Map(
  namesIn(modelsFolder)
    .filter((name) => /\.(pt|param|bin|json)$/.test(name))
    .map((name) => [`models/${name}`, path.join(modelsFolder, name)]),
);

/** The first of the page's models; a page is built with it, and while it is developed the library does without. */
const firstManifest = "models/codefinder-int8/codefinder-int8.json";

function shipFirstModel({ files }: MadeModel): Plugin {
  return {
    name: "ncnnkit-first-model",
    apply: "build",
    generateBundle() {
      for (const [fileName, source] of files) this.emitFile({ type: "asset", fileName, source });
    },
  };
}

/** Puts the shipped models where the page looks for them. */
function shipModels(): Plugin {
  return {
    name: "ncnnkit-ship-models",
    configureServer({ middlewares }) {
      for (const [address, file] of shippedFiles) {
        middlewares.use(`/${address}`, (_, response) => response.end(readFileSync(file)));
      }
    },
    generateBundle() {
      for (const [fileName, file] of shippedFiles) {
        this.emitFile({ type: "asset", fileName, source: readFileSync(file) });
      }
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
      const later = namesIn(dir).filter((name) => name.startsWith("assets/later-"));
      const hash = createHash("sha256");
      for (const name of files) hash.update(name).update(readFileSync(path.join(dir, name || "index.html")));
      const script = readFileSync(path.join(folder, "sw.js"), "utf8")
        .replace("self.__FILES__", JSON.stringify(files.map((name) => `./${name}`)))
        .replace("self.__LATER__", JSON.stringify(later.map((name) => `./${name}`)))
        .replace("self.__VERSION__", JSON.stringify(hash.digest("hex").slice(0, 12)));
      writeFileSync(path.join(dir, "sw.js"), script);
    },
  };
}

/**
 * Names of the page's files, `""` for the page itself. The list of models is the host's to change; models of the host, checkpoints, pictures and
 * the rests of the first model, of which a machine needs one, are kept when they are first used, not with the page, so that a first visit is small.
 */
function pageFiles(dir: string): string[] {
  const isKept = (name: string): boolean =>
    shippedFiles.has(name)
      ? !name.endsWith(".pt")
      : !/^(index\.html|sw\.js|models\.json)$|^(models|first|screenshots)\/|^assets\/(rare|later)-|\.(png|webp)$/.test(
          name,
        );
  return ["", ...namesIn(dir).filter(isKept).sort()];
}

/** All files below a folder, `/` between. */
function namesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, "/"));
}

/** What few visitors use is not kept with the page, but when it is first fetched. */
const rarelyUsed = /\/src\/(zoo|official)\/|\/(engine|kernels)\/webgpu\/|\/web\/(bench|words-)/;
/** What is kept at the second visit, if there is one: readers of what others export, and conversion. */
const usedLater =
  /\/src\/(deploy|tally|quantize|report|evaluate)\/|\/src\/(formats|open)\/onnx|\/node_modules\/yaml\/|\/web\/converter/;

function chunkFileNames({ moduleIds }: { moduleIds: readonly string[] }): string {
  const isMostly = (kind: RegExp): boolean =>
    2 * moduleIds.filter((id) => kind.test(id.replaceAll("\\", "/"))).length >= moduleIds.length;
  const kind = isMostly(rarelyUsed) ? "rare-" : isMostly(usedLater) ? "later-" : "";
  return `assets/${kind}[name]-[hash].js`;
}

export default defineConfig(async ({ command }): Promise<UserConfig> => {
  const first =
    command === "build"
      ? await makeFirstModel(firstManifest, path.join(folder, "..", firstManifest))
      : undefined;
  return {
    root: folder,
    define: { __FIRST_MODEL__: JSON.stringify(first?.known) ?? "undefined" },
    base: "./",
    build: {
      outDir: path.join(folder, "../dist-web"),
      emptyOutDir: true,
      target: "es2022",
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      rolldownOptions: { output: { chunkFileNames } },
    },
    worker: { format: "es", rolldownOptions: { output: { chunkFileNames } } },
    server: { headers },
    preview: { headers },
    plugins: [shipModels(), ...(first ? [shipFirstModel(first)] : []), offline()],
  };
});
