/** Where downloaded models, and modules made of models, are kept. */
import os from "node:os";
import path from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The folder for downloaded models: `models` in `NCNNKIT_CACHE`, else in the place that the system has for caches. What is found out
 * about the machine is kept beside it.
 *
 * | system | folder |
 * |---|---|
 * | Linux and others | `$XDG_CACHE_HOME/ncnnkit/models`, default `~/.cache/ncnnkit/models` |
 * | macOS | `~/Library/Caches/ncnnkit/models` |
 * | Windows | `%LOCALAPPDATA%\ncnnkit\Cache\models` |
 */
export function modelCache(
  environment: Environment = process.env,
  platform: NodeJS.Platform = process.platform,
  home: string = os.homedir(),
): string {
  return cacheFolder("models", environment, platform, home);
}

/** A folder, or a file, beside the folder of the models. */
export function cacheFolder(
  name: string,
  environment: Environment = process.env,
  platform: NodeJS.Platform = process.platform,
  home: string = os.homedir(),
): string {
  const { join, isAbsolute, resolve } = platform === "win32" ? path.win32 : path.posix;
  const { NCNNKIT_CACHE: own, XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = environment;
  if (own) return resolve(own, name);
  if (platform === "win32") return join(local || join(home, "AppData", "Local"), "ncnnkit", "Cache", name);
  if (platform === "darwin") return join(home, "Library", "Caches", "ncnnkit", name);
  // A relative path is to be ignored, says the XDG base directory specification.
  return join(xdg && isAbsolute(xdg) ? xdg : join(home, ".cache"), "ncnnkit", name);
}
