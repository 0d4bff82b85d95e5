/** Reshape of a vector to 1×1×C before a BinaryOp with a picture of C channels: ncnn broadcasts the vector itself so. */
import { binaryOp } from "../ops/binary-op.ts";
import { eachNode } from "./_fold.ts";
import { num } from "./_params.ts";
import type { Pass } from "./pass.ts";
import { isPixelReshape } from "./sink-vector-reshape.ts";

export const dropBroadcastReshape: Pass = {
  name: "drop-broadcast-reshape",
  run: (graph, log) =>
    eachNode(graph, [binaryOp], (node, wiring, sketches) => {
      if (num(node, "with_scalar") || node.inputs.length !== 2) return;
      for (const index of [0, 1]) {
        const reshape = wiring.producer(node.inputs[index]);
        const other = sketches.get(node.inputs[1 - index]);
        if (!isPixelReshape(reshape, sketches) || other?.rank !== 3) continue;
        const channels = sketches.get(reshape.inputs[0])?.channels;
        if (channels === undefined || channels !== other.channels) {
          log?.(
            `"${reshape.name}" stays: "${node.name}" may not have ${channels ?? "as many"} channels on both sides`,
          );
          continue;
        }
        wiring.setInputs(
          node,
          node.inputs.map((blob, i) => (i === index ? reshape.inputs[0] : blob)),
        );
        wiring.removeIfUnread(reshape);
        wiring.rewrote();
        return;
      }
    }),
};
