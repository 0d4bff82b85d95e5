/** What times were measured on, as far as a browser tells. */
import { capabilities } from "./capabilities.ts";
import { plural } from "./words.ts";

export interface MachineFacts {
  browser: string;
  /** Logical processors. */
  cores: number;
  /** System and processor, where the browser tells. */
  system?: string;
}

/** What Chromium tells on request: https://wicg.github.io/ua-client-hints/ */
interface UserAgentData {
  getHighEntropyValues(names: string[]): Promise<Record<string, string>>;
}

export function browserName(): string {
  const { userAgent } = navigator;
  const found = /(Firefox|Edg|Chrome)\/(\d+)/.exec(userAgent) ?? /(Version)\/(\d+)/.exec(userAgent);
  const names: Record<string, string> = { Edg: "Edge", Version: "Safari" };
  return found ? `${names[found[1]] ?? found[1]} ${found[2]}` : "a browser";
}

export const machineText = (): string => `${browserName()}, ${plural(capabilities.cores, "processor")}`;

export async function machineFacts(): Promise<MachineFacts> {
  const { userAgentData } = navigator as { userAgentData?: UserAgentData };
  const wanted = ["platform", "platformVersion", "architecture", "bitness", "model"];
  const { platform, architecture, bitness, model } =
    (await userAgentData?.getHighEntropyValues(wanted).catch(() => undefined)) ?? {};
  const processor = architecture ? `${architecture}${bitness ? `-${bitness}` : ""}` : undefined;
  const system = [model, platform, processor].filter(Boolean).join(", ");
  return { browser: browserName(), cores: capabilities.cores, ...(system && { system }) };
}
