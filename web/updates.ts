/** The page offline, and in its newest version: the service worker, and what is said of it. */
import { notify } from "./notices.ts";
import { t } from "./words.ts";

/** How often a page that is looked at again asks for a newer version. */
const checkEvery = 60 * 60_000;

/** How often the new version is asked to take over, in milliseconds. */
const askEvery = 500;

export async function keepUpToDate(): Promise<void> {
  const { serviceWorker } = navigator;
  let registration: ServiceWorkerRegistration | undefined;
  try {
    registration = await serviceWorker.register("./sw.js");
  } catch (error) {
    console.warn("no service worker, so the page does not work offline:", error);
    return;
  }
  if (!registration) return; // where they are switched off
  const { waiting } = registration;
  // Where none is in charge, the one that comes is the first, and of this version.
  const offer = (worker: ServiceWorker): void => {
    if (worker.state === "installed" && serviceWorker.controller) offerReload(worker);
  };
  if (waiting) offer(waiting);
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
          const ask = (): void => worker.postMessage("take over");
          ask();
          // It is not heard while the old one is at work for another tab.
          setInterval(ask, askEvery);
        },
      },
    },
  );
}
