/**
 * The service worker: the page works offline after its first load, and threads work on hosts that cannot send isolation
 * headers. The build fills in the list of files and its version.
 */
const files = self.__FILES__;
const shellName = `ncnnkit-page-${self.__VERSION__}`;
/** Models and whatever else was fetched from this host; outlives versions of the page. */
const keptName = "ncnnkit-kept";

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(shellName)
      .then((cache) => cache.addAll(files))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const isOld = (name) => name.startsWith("ncnnkit-page-") && name !== shellName;
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter(isOld).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method === "POST" && url.href === `${self.registration.scope}share`) {
    event.respondWith(keepShared(request));
    return;
  }
  if (request.method !== "GET" || !url.href.startsWith(self.registration.scope)) return;
  // A dropped file's blob: address or another host's model is not ours to keep.
  event.respondWith(answer(request, url).then(isolate));
});

async function answer(request, url) {
  const shell = await caches.open(shellName);
  const path = url.href.slice(self.registration.scope.length).replace(/[?#].*$/, "");
  // Names in assets/ carry a hash of what is in them.
  if (path.startsWith("assets/")) {
    const found = await shell.match(request);
    if (found) return found;
  }
  const offline = async () =>
    (request.mode === "navigate" ? await shell.match("./") : undefined) ??
    (await shell.match(request, { ignoreSearch: true })) ??
    (await (await caches.open(keptName)).match(request));
  try {
    const response = await fetch(request);
    if (response.ok && response.status === 200) {
      const kept = await caches.open(files.includes(`./${path}`) ? shellName : keptName);
      await kept.put(path === "" ? "./" : request, response.clone());
    }
    return response.ok ? response : ((await offline()) ?? response);
  } catch (error) {
    const found = await offline();
    if (found) return found;
    throw error;
  }
}

/** What another program shares with the installed page: left where `launch.ts` reads it, which the page is opened for. */
async function keepShared(request) {
  const cache = await caches.open("ncnnkit-shared");
  const files = (await request.formData()).getAll("files").filter((each) => each instanceof File);
  for (const [i, file] of files.entries()) {
    const address = `${self.registration.scope}shared/${i}-${encodeURIComponent(file.name)}`;
    await cache.put(address, new Response(file, { headers: { "content-type": file.type } }));
  }
  return Response.redirect(`${self.registration.scope}?shared`, 303);
}

/** The headers that let a page have shared memory; the same as those of `ncnnkit serve-page`. */
function isolate(response) {
  if (response.type === "opaque" || response.status === 0) return response;
  const headers = new Headers(response.headers);
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-embedder-policy", "require-corp");
  headers.set("cross-origin-resource-policy", "same-origin");
  const empty = [204, 205, 304].includes(response.status);
  return new Response(empty ? null : response.body, {
    status: response.status,
    statusText: response.statusText,
    headers,
  });
}
