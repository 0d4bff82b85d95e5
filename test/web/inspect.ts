/** A page looked over by a machine: what sticks out, is cut or covered, and what axe finds. */
import axe from "axe-core";
import type { Page } from "playwright-core";

/** What sticks out, is cut or is covered. */
export async function faults(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const name = (element: Element): string => {
      const { id } = element;
      const named = id ? `#${id}` : `.${[...element.classList].join(".")}`;
      return `${element.tagName.toLowerCase()}${named} "${(element.textContent ?? "").trim().slice(0, 30)}"`;
    };
    const sticks = document.documentElement.scrollWidth - innerWidth;
    if (sticks > 0) found.push(`the page is ${sticks} px too wide`);
    const isSeen = (element: Element): boolean =>
      element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) &&
      !getComputedStyle(element).clipPath.startsWith("inset(50%");
    const scrolls = (element: Element | null): boolean => {
      for (let each = element; each; each = each.parentElement) {
        if (/auto|scroll/.test(getComputedStyle(each).overflowX) && each !== document.documentElement)
          return true;
      }
      return false;
    };
    for (const element of document.querySelectorAll("body *")) {
      const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.nodeValue?.trim());
      if (!hasText || !isSeen(element) || element.closest("textarea, option, script, style")) continue;
      const style = getComputedStyle(element);
      const isCut =
        element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 2;
      if (/hidden|clip/.test(style.overflow) && style.display !== "inline" && isCut)
        found.push(`cut: ${name(element)}`);
      const range = document.createRange();
      range.selectNodeContents(element);
      const { left, right, width } = range.getBoundingClientRect();
      if (width && (left < -1 || right > innerWidth + 1) && !scrolls(element))
        found.push(`outside: ${name(element)}`);
    }
    const top = scrollY;
    const panel = document.querySelector("#panel");
    const scrolled = panel?.scrollTop ?? 0;
    const within = document.querySelector("dialog[open]") ?? document;
    for (const element of within.querySelectorAll("button, a[href], input, select, summary, textarea")) {
      if (!isSeen(element) || (element as HTMLButtonElement).disabled) continue;
      // Messages lie over the page until they are dismissed: wherever it is scrolled to, all else can be had beside them.
      const hits = (["center", "start", "end"] as const).map((block) => {
        element.scrollIntoView({ block, behavior: "instant" });
        const { left, top: above, width, height } = element.getBoundingClientRect();
        if (!width || !height) return element;
        return document.elementFromPoint(left + width / 2, above + height / 2);
      });
      const isHit = (hit: Element | null): boolean =>
        hit !== null && (element.contains(hit) || (hit.contains(element) && hit !== document.body));
      if (!hits.some(isHit)) {
        const over = hits.find((hit) => hit !== null);
        found.push(over ? `covered: ${name(element)} by ${name(over)}` : `out of reach: ${name(element)}`);
      }
    }
    scrollTo(0, top);
    panel?.scrollTo(0, scrolled);
    return found;
  });
}

export async function axeFindings(page: Page): Promise<string[]> {
  await page.evaluate(`if (!globalThis.axe) { ${axe.source} }`);
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: typeof axe }).axe.run(document, { iframes: false }),
  );
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(
      ({ target, failureSummary }) =>
        `axe ${id}: ${target} ${(failureSummary ?? "").replace(/\s+/g, " ").slice(0, 200)}`,
    ),
  );
}
