/** What the address of the page says, so that a link opens what its sender sees: models, input size, threads, what computes. */

export interface Asked {
  /** Absolute addresses, the one to use first. */
  models: string[];
  size?: number;
  threads?: number;
  backend?: string;
}

export function askedFor(): Asked {
  const asked = new URLSearchParams(location.search);
  const number = (name: string): number | undefined => {
    const value = Number(asked.get(name));
    return Number.isInteger(value) && value > 0 ? value : undefined;
  };
  return {
    models: asked.getAll("model").map(absolute),
    ...{ size: number("size"), threads: number("threads"), backend: asked.get("backend") ?? undefined },
  };
}

/** As it is where it is no address. */
export const absolute = (url: string): string =>
  URL.canParse(url, document.baseURI) ? new URL(url, document.baseURI).href : url;

/** Says these from now on; nothing for what goes without saying. */
export function sayInAddress(said: {
  models?: readonly string[];
  size?: number | undefined;
  threads?: number | undefined;
  backend?: string | undefined;
}): void {
  const here = new URL(location.href);
  const { searchParams } = here;
  const base = new URL("./", document.baseURI).href;
  if (said.models) {
    searchParams.delete("model");
    // What is beside the page is named from there.
    for (const url of said.models) {
      searchParams.append("model", url.startsWith(base) ? url.slice(base.length) : url);
    }
  }
  for (const name of ["size", "threads", "backend"] as const) {
    if (!(name in said)) continue;
    if (said[name] === undefined) searchParams.delete(name);
    else searchParams.set(name, String(said[name]));
  }
  // Slashes and colons of addresses mean nothing in a query.
  here.search = here.search.replace(/%2F/g, "/").replace(/%3A/g, ":");
  if (here.href !== location.href) history.replaceState(null, "", here);
}
