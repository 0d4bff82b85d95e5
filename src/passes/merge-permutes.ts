/** Permute → Permute: one transposition, or none. */
import { match } from "../ir/graph.ts";
import { permutation, permute } from "../ops/permute.ts";
import { eachNode } from "./_fold.ts";
import { num, setParams } from "./_params.ts";
import type { Pass } from "./pass.ts";

const orderCount: Record<number, number> = { 1: 1, 2: 2, 3: 6, 4: 24 };

/** The order that transposes as `first` and then `second` do. */
function composed(first: number, second: number, rank: number): number {
  const a = permutation(first, rank);
  const both = permutation(second, rank).map((axis) => a[axis]);
  const orders = Array.from({ length: orderCount[rank] }, (_, order) => order);
  return orders.findIndex((order) => permutation(order, rank).every((axis, i) => axis === both[i]));
}

export const mergePermutes: Pass = {
  name: "merge-permutes",
  run: (graph, log) =>
    eachNode(graph, [permute], (second, wiring, sketches) => {
      for (;;) {
        const first = wiring.producer(second.inputs[0]);
        const before = match(first, permute);
        if (!first || !before) return;
        const rank = sketches.get(first.inputs[0])?.rank;
        if (rank === undefined) {
          log?.(`"${second.name}" stays: the rank of "${first.inputs[0]}" is not known`);
          return;
        }
        setParams(second, {
          order_type: composed(before.order_type, num(second, "order_type"), rank),
        });
        wiring.setInputs(second, first.inputs);
        wiring.removeIfUnread(first);
        wiring.rewrote();
      }
    }),
};
