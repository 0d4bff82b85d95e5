import { nowhere } from "../../../kernels/webgpu/index.ts";
import { slotsOf } from "../../representations.ts";
import type { GatherStep } from "../../steps.ts";
import type { Representation } from "../../values.ts";
import type { Traffic } from "../records.ts";
import { type StepKind, sizeOf, trafficOf } from "./kind.ts";

export const gather: StepKind<GatherStep> = {
  kind: "gather",
  quantizes: true,
  /** In the representations in which its result is read. */
  needs: ({ input, output }, read) => {
    for (const need of output.needs) {
      const channels = input.channels.filter((_, c) => need.channels === undefined || need.channels.has(c));
      read.channels(channels, need);
    }
  },
  plan: (step) => {
    const { kind, nodes, input, frame, scaleX, scaleY, output } = step;
    const what = frame ? "pad" : scaleX * scaleY > 1 ? "resize nearest" : "gather";
    const stores = output.representations.map((r) => ({ r, ...placesOf(step, r) }));
    return {
      kind,
      nodes,
      label: `${what} ${output.representations.map((r) => r.dtype).join("+")} ${sizeOf(output)}`,
      macs: 0,
      traffic: stores.flatMap((store) => [readBy(input, store.r.dtype, store), trafficOf(store.r)]),
      call: {
        spec: {
          kind,
          rows: output.height,
          width: output.width,
          groups: output.slotCount / 4,
          inputRows: input.height,
          inputWidth: input.width,
          scaleY,
          scaleX,
          ...(frame && { frame }),
          stores: stores.map(({ r: { dtype }, whole }) => ({ dtype, whole })),
        },
        args: output.representations.map(({ address }) => address),
        table: Uint32Array.from(stores.flatMap(({ places }) => places.flatMap((place) => [...place, 0, 0]))),
      },
    };
  },
};

/** Of single channels a group is read that may hold four of them. */
function readBy(
  { height, width }: GatherStep["input"],
  dtype: Traffic["dtype"],
  { whole, places }: ReturnType<typeof placesOf>,
): Traffic {
  const groups = new Set(places.flatMap(([at]) => (at === nowhere ? [] : [whole ? at : at >>> 2])));
  return { dtype, groups: groups.size * height * width };
}

type Place = readonly [place: number, distance: number];

/** Where each slot of a representation comes from: as whole groups, where all of them are that. */
function placesOf(step: GatherStep, target: Representation): { whole: boolean; places: Place[] } {
  const { input, output } = step;
  const slots = Array.from(slotsOf(output), (channel): Place | undefined => {
    if (channel < 0 || channel >= input.channels.length) return undefined;
    const { value, channel: from } = input.channels[channel];
    const scale = target.scales?.[channel] ?? 0;
    if (target.dtype === "i8" && scale === 0) return undefined;
    return [value.find(target.dtype, scale, from).address * 4 + value.slot(from), value.slotCount];
  });
  const groups: (Place | undefined)[] = [];
  let whole = true;
  for (let slot = 0; slot < slots.length; slot += 4) {
    const four = slots.slice(slot, slot + 4);
    const [first] = four;
    groups.push(first && [first[0] / 4, first[1] / 4]);
    whole &&= first
      ? first[0] % 4 === 0 &&
        four.every((place, i) => !place || (place[0] === first[0] + i && place[1] === first[1]))
      : four.every((place) => !place);
  }
  return { whole, places: (whole ? groups : slots).map((place) => place ?? [nowhere, 0]) };
}
