/**
 * The service worker: the page works offline after its first load, and threads work on hosts that cannot send isolation
 * headers. The build fills in the list of files and its version.
 *
 * A tab keeps the version that it was opened with: the page and its parts come from what was kept, a new version is fetched beside it,
 * and takes over when all tabs are closed or somebody presses "Reload". Until then the older parts stay for the tabs that need them.
 */
const files = self.__FILES__;
/** Parts that are kept too, but not at the first visit. */
const later = self.__LATER__;
const shellPrefix = "ncnnkit-page-";
const shellName = `${shellPrefix}${self.__VERSION__}`;
/** Models and whatever else was fetched from this host; outlives versions of the page. */
const keptName = "ncnnkit-kept";
/** Milliseconds after which a network that says nothing is given up, where there is something to show instead. */
const patience = 2000;

self.addEventListener("install", (event) => {
  event.waitUntil(Promise.all([keepShell(), keepList()]));
});

async function keepShell() {
  const shell = await caches.open(shellName);
  // Names in assets/ carry a hash of what is in them, so what the browser has of them is good; the rest is asked for anew.
  const cacheOf = (file) => (file.startsWith("./assets/") ? "default" : "no-cache");
  await shell.addAll(files.map((file) => new Request(file, { cache: cacheOf(file) })));
}

async function keepRest() {
  const shell = await caches.open(shellName);
  const known = new Set((await shell.keys()).map(({ url }) => url));
  const missing = later.filter((file) => !known.has(new URL(file, self.registration.scope).href));
  await shell.addAll(missing).catch(() => {});
}

/** The list of models is the host's to change; without one there are none. */
async function keepList() {
  const kept = await caches.open(keptName);
  await kept.add(new Request("./models.json", { cache: "no-cache" })).catch(() => {});
}

self.addEventListener("activate", (event) => {
  event.waitUntil(forgetOldShells().then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") event.waitUntil(self.skipWaiting());
  if (event.data === "keep the rest") event.waitUntil(keepRest());
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
  event.respondWith(answer(event, url).then(isolate));
});

/** Where tabs are open they run an older version, and need its parts; so many versions stay at most. */
const mostShells = 4;

async function forgetOldShells() {
  const open = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const shells = (await caches.keys()).filter((name) => name.startsWith(shellPrefix) && name !== shellName);
  const old = open.length ? shells.slice(0, 1 - mostShells) : shells;
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function answer(event, url) {
  const { request } = event;
  const path = url.href.slice(self.registration.scope.length).replace(/[?#].*$/, "");
  const found = await ofShell(request, path);
  if (found) return found;
  const kept = await caches.open(keptName);
  const here = await kept.match(request);
  const fresh = fetch(request).then((response) => {
    // It is shown while it comes, and whether or not there is room to keep it.
    if (response.status === 200) event.waitUntil(kept.put(request, response.clone()).catch(() => {}));
    return response;
  });
  if (!here) return fresh;
  event.waitUntil(fresh.catch(() => {}));
  const late = new Promise((resolve) => setTimeout(resolve, patience));
  const first = await Promise.race([fresh.catch(() => undefined), late]);
  return first?.ok ? first : here;
}

/** A part of this version, or of an older one that a tab still runs. */
async function ofShell(request, path) {
  const shell = await caches.open(shellName);
  if (path === "" || path === "index.html")
    return (new URL(request.url).search.startsWith("?newest") && (await newestPage())) || shell.match("./");
  if (files.includes(`./${path}`)) return shell.match(request, { ignoreSearch: true });
  // Names there have a hash: what was kept is what is there.
  return /^(assets|first)\//.test(path) ? caches.match(request) : undefined;
}

/**
 * The page of a version that waits, for the tab that reloads to have it. Browsers put the waiting version in charge when this one is at
 * rest, which can take long: Chromium, asked to do it at once, forgets that where another tab fetches something at the same moment, and
 * counts half a minute of rest from then on. The page's parts are found whatever their version, as those of older ones are.
 */
async function newestPage() {
  if (!self.registration.waiting) return undefined; // this one is the newest
  const shells = (await caches.keys()).filter((name) => name.startsWith(shellPrefix) && name !== shellName);
  const newest = await caches.open(shells.at(-1) ?? shellName);
  return newest.match("./");
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
