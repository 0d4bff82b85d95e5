/** The foot of the page: its language, and where more is to be read. */
import { anElement, make } from "./dom.ts";
import {
  type Language,
  language,
  languageChanged,
  languages,
  t,
  useLanguage,
  wantedLanguage,
} from "./words.ts";

/** Where the package is told of, with its documents and its source. */
const packagePage = "https://www.npmjs.com/package/ncnnkit";

/** Puts the page into the visitor's language, and offers the others. */
export async function showFoot(): Promise<void> {
  const select = make("select", { id: "language", "aria-label": "Language, 语言" });
  select.append(
    ...Object.entries(languages).map(([value, name]) => make("option", { value, lang: value }, name)),
  );
  select.addEventListener("change", () => void useLanguage(select.value as Language, true));
  const away = (href: string): HTMLAnchorElement => make("a", { href, rel: "noreferrer" });
  const docs = away(`${packagePage}#readme`);
  const source = away(`${packagePage}?activeTab=code`);
  const write = (): void => {
    select.value = language();
    docs.textContent = t("Documentation");
    source.textContent = t("Source");
  };
  anElement("foot").append(docs, source, select);
  addEventListener(languageChanged, write);
  await useLanguage(wantedLanguage()).catch((error: unknown) => {
    console.warn("the page stays English:", error);
  });
  write();
}
