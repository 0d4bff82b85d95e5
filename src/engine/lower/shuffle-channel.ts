import { inputChannels, setOutputChannels } from "./_channels.ts";
import type { Layer } from "./layer.ts";

/** ShuffleChannel: the same channels in another order. */
export function shuffleChannel(layer: Layer): boolean {
  const all = inputChannels(layer);
  if (!all) return false;
  const { channels } = all;
  const { group, reverse } = layer.p;
  const groups = reverse ? channels.length / group : group;
  const perGroup = channels.length / groups;
  const shuffled = channels.map((_, i) => channels[(i % groups) * perGroup + Math.floor(i / groups)]);
  return setOutputChannels(layer, { ...all, channels: shuffled });
}
