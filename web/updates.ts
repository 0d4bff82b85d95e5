/** The page offline, and in its newest version: the service worker, and what is said of it. */
import { notify } from "./notices.ts";
import { t } from "./words.ts";

/** How often a page that is looked at again asks for a newer version. */
const checkEvery = 60 * 60_000;

/** Milliseconds in which the new version is expected to be in charge; otherwise the old one is asked for its page. */
const patience = 3000;

/** What asks for that page (`newestPage` in sw.js). */
const newestAsked = "?newest";

/** Milliseconds of a later visit after which there is time to keep what the first one left out. */
const restAfter = 5000;

export async function keepUpToDate(): Promise<void> {
  const { serviceWorker } = navigator;
  const isNewest = location.search.startsWith(newestAsked);
  if (isNewest) {
    const rest = location.search.slice(newestAsked.length).replace("&", "?");
    history.replaceState(null, "", `${location.pathname}${rest}${location.hash}`);
  }
  let registration: ServiceWorkerRegistration | undefined;
  try {
    registration = await serviceWorker.register("./sw.js");
  } catch (error) {
    console.warn("no service worker, so the page does not work offline:", error);
    return;
  }
  if (!registration) return; // where they are switched off
  const { controller } = serviceWorker;
  if (controller) setTimeout(() => controller.postMessage("keep the rest"), restAfter);
  const { waiting } = registration;
  // Where none is in charge, the one that comes is the first, and of this version.
  const offer = (worker: ServiceWorker): void => {
    if (worker.state === "installed" && serviceWorker.controller) offerReload(worker);
  };
  if (waiting && isNewest) waiting.postMessage("take over");
  else if (waiting) offer(waiting);
  registration.addEventListener("updatefound", () => {
    const worker = registration?.installing;
    worker?.addEventListener("statechange", () => offer(worker));
  });
  let checked = Date.now();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || Date.now() - checked < checkEvery) return;
    checked = Date.now();
    registration?.update().catch(() => {}); // offline
  });
}

/** This tab goes on with the version that it has until then. */
function offerReload(worker: ServiceWorker): void {
  notify(
    t("There is a new version of this page"),
    t("This tab goes on with the old one until you reload it."),
    {
      news: true,
      action: {
        text: t("Reload"),
        run: () => {
          navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), {
            once: true,
          });
          worker.postMessage("take over");
          setTimeout(() => {
            const rest = location.search.replace("?", "&");
            location.replace(`${location.pathname}${newestAsked}${rest}${location.hash}`);
          }, patience);
        },
      },
    },
  );
}
