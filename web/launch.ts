/** Opened with something: a picture shared by another program, or files that the system opens with this page. */
import { type Sorted, sortFiles } from "./files.ts";

/** Where the service worker leaves what was shared; the same name as in sw.js. */
const sharedIn = "ncnnkit-shared";

/** What the system hands over: https://wicg.github.io/web-app-launch/ */
interface LaunchQueue {
  setConsumer(consumer: (launch: { files?: readonly FileSystemFileHandle[] }) => void): void;
}

/** Gives `take` what the page was opened with, now and while it is open. */
export async function takeLaunched(take: (sorted: Sorted) => Promise<void>): Promise<void> {
  const { launchQueue } = globalThis as { launchQueue?: LaunchQueue };
  launchQueue?.setConsumer(({ files = [] }) => {
    if (!files.length) return;
    void Promise.all(files.map((handle) => handle.getFile())).then((all) => take(sortFiles(all)));
  });
  const address = new URL(location.href);
  if (!address.searchParams.has("shared")) return;
  address.searchParams.delete("shared");
  history.replaceState(null, "", address);
  const files = await sharedFiles();
  if (files.length) await take(sortFiles(files));
}

/** Reads them once. */
async function sharedFiles(): Promise<File[]> {
  const cache = await caches.open(sharedIn);
  const files: File[] = [];
  for (const request of await cache.keys()) {
    const response = await cache.match(request);
    if (!response) continue;
    const blob = await response.blob();
    const name = decodeURIComponent(new URL(request.url).pathname.replace(/^.*\//, "")).replace(/^\d+-/, "");
    files.push(new File([blob], name, { type: response.headers.get("content-type") ?? "" }));
  }
  await caches.delete(sharedIn);
  return files;
}
