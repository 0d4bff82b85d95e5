// `npm install` in a checkout builds dist. Installed as a package there is nothing to build: dist lies there and the sources do not, so
// this says and does nothing. In JavaScript, because Node 20 runs no TypeScript.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");
if (existsSync(path.join(root, "tsconfig.build.json"))) {
  if (existsSync(path.join(root, "node_modules/typescript"))) {
    const build = spawnSync("npm run --silent build", { cwd: root, stdio: "inherit", shell: true });
    process.exitCode = build.status ?? 1;
  } else {
    console.error("ncnnkit: TypeScript is not installed here (--omit=dev?), so dist is not built");
  }
}
