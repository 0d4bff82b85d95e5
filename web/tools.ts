/** What can be done besides looking. Each tool is fetched when it is first used. */
import type { DetectView } from "./detect.ts";
import { anElement, button } from "./dom.ts";
import { tell } from "./notices.ts";
import { t } from "./words.ts";

/** A tool that is switched on and off, with what it shows while it is on. */
export interface Tool {
  readonly element: HTMLElement;
  /** Ends it; what it holds is let go. */
  close(): void;
}

/** `ended`: it ended by itself. */
type MakeTool = (view: DetectView, ended: () => void) => Tool | Promise<Tool>;

const makers: Readonly<Record<string, () => Promise<MakeTool>>> = {
  compare: async () => (await import("./compare.ts")).compare,
  follow: async () => (await import("./follow.ts")).follow,
  record: async () => (await import("./record.ts")).record,
  card: async () => (await import("./model-card.ts")).modelCard,
};

export function wireTools(view: DetectView): void {
  const area = anElement("tool-area");
  for (const [name, load] of Object.entries(makers)) {
    const control = button(`tool-${name}`);
    let tool: Tool | undefined;
    const show = (now: Tool | undefined): void => {
      tool?.close();
      tool?.element.remove();
      tool = now;
      control.setAttribute("aria-pressed", String(tool !== undefined));
      if (tool) area.append(tool.element);
      if (tool?.element instanceof HTMLDialogElement) tool.element.showModal();
    };
    control.addEventListener("click", async () => {
      if (tool) {
        show(undefined);
        return;
      }
      control.disabled = true;
      try {
        show(await (await load())(view, () => show(undefined)));
      } catch (error) {
        tell(t("That could not be started"), error);
      }
      control.disabled = false;
    });
  }
  button("tool-share").addEventListener("click", async () => {
    try {
      await (await import("./share.ts")).share(view);
    } catch (error) {
      tell(t("The picture was not shared"), error);
    }
  });
}
