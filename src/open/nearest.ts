/** What the outputs of a graph hold, in words: why it was recognised, or what it is like where no kind fits. */
import { headParts } from "../heads/index.ts";
import type { HeadPart } from "../heads/kind.ts";
import { joinLevels } from "../heads/recognition.ts";
import type { Column, HeadView, Piece } from "../heads/view.ts";
import { type Graph, opOf, paramsOf } from "../ir/graph.ts";
import { formatShape, type Shape } from "../ir/tensor.ts";
import { ops } from "../ops/index.ts";

/** Columns of a cell that are consecutive channels of one convolution, or are computed. */
interface Run {
  readonly origin: Column["origin"];
  readonly count: number;
}

function runsOf({ columns }: Piece): Run[] {
  const runs: Run[] = [];
  for (const [i, column] of columns.entries()) {
    const before = columns[i - 1];
    const last = runs.at(-1);
    const goesOn =
      last &&
      before.origin === column.origin &&
      (column.origin === "other" ||
        (before.origin !== "other" &&
          before.source === column.source &&
          before.channel + 1 === column.channel));
    if (goesOn) runs[runs.length - 1] = { ...last, count: last.count + 1 };
    else runs.push({ origin: column.origin, count: 1 });
  }
  return runs;
}

function runText({ origin, count }: { origin: Run["origin"]; count: number | "n" }): string {
  if (origin === "sigmoid") return `σ of ${count}`;
  if (origin === "product") return `products of σ of ${count}`;
  return `${count} ${origin === "raw" ? "raw" : "computed"}`;
}

/** Longer lists of runs, as anchors make them, say no more. */
const mostRuns = 8;

/** `for every cell of strides 8, 16, 32: 4 raw, σ of 1, σ of 80`; numbers that are no values of one channel are `computed`. */
export function cellsText(view: HeadView, computed = "computed by its formula"): string {
  if (view.chosen) return "its last layer makes boxes and chooses among them";
  if (view.list)
    return `its output is ${view.list.isSoftmax ? "the softmax of " : ""}a list of ${view.list.count} numbers a picture`;
  const pieces = joinLevels(view) ?? view.pieces;
  const byRuns = new Map<string, Set<number>>();
  for (const piece of pieces) {
    const runs = runsOf(piece);
    const more = runs.length > mostRuns ? ", …" : "";
    const text = runs.slice(0, mostRuns).map(runText).join(", ").replaceAll("computed", computed) + more;
    byRuns.set(text, (byRuns.get(text) ?? new Set()).add(piece.stride));
  }
  const cells = [...byRuns].map(
    ([text, strides]) =>
      `for every cell of stride${strides.size > 1 ? "s" : ""} ${[...strides].join(", ")}: ${text}`,
  );
  const others = view.computed.map(({ blob }) => blob).join(", ");
  return [...cells, ...(others ? [`${others} computed from several numbers`] : [])].join("; ");
}

/** What outputs are that no kind takes for its own, and which kind has most of it. */
export function describeOutputs(view: HeadView): string {
  const has = `its outputs have ${cellsText(view, "computed")}`;
  const [level] = joinLevels(view) ?? [];
  const like = level && nearestParts(runsOf(level));
  return like ? `${has}; ${like}` : `${has}, which is no kind that is known`;
}

/** The kind whose parts are most of the runs, and what differs. */
function nearestParts(runs: readonly Run[]): string | undefined {
  let nearest: { text: string; distance: number } | undefined;
  for (const { title, parts } of headParts) {
    const left = [...runs];
    const missing: HeadPart[] = [];
    for (const part of parts.toSorted((a, b) => Number(a.channels === "n") - Number(b.channels === "n"))) {
      const at = left.findIndex(
        ({ origin, count }) => origin === part.origin && (part.channels === "n" || part.channels === count),
      );
      if (at < 0) missing.push(part);
      else left.splice(at, 1);
    }
    const distance = missing.length + left.length;
    const isLike = parts.length - missing.length > Math.max(1, distance);
    if (!isLike || (nearest && nearest.distance <= distance)) continue;
    const expected = parts.map(partText).join(", ");
    const differs = [
      ...(missing.length ? [`without ${missing.map(partText).join(" and ")}`] : []),
      ...(left.length ? [`with ${left.map(runText).join(" and ")} more`] : []),
    ];
    const how = distance
      ? `like a ${title} (${expected}), but ${differs.join(", ")}`
      : `the parts of a ${title} in another order than ${expected}`;
    nearest = { text: how, distance };
  }
  return nearest && `${nearest.text}; if it is one, export it with these in this order`;
}

const partText = ({ what, origin, channels }: HeadPart): string =>
  `${runText({ origin, count: channels })} for ${what}`;

/** Why there are no cells to look at. */
export function describeNoCells(graph: Graph, shapes: ReadonlyMap<string, Shape> | undefined): string {
  const isWithoutWeights = graph.nodes.some((node) =>
    (opOf(node, ops).weights?.(paramsOf(node, ops)) ?? []).some(({ name }) => !node.weights[name]),
  );
  if (isWithoutWeights) return "without weights it is not known what its outputs are";
  if (!shapes) return "it runs at none of the usual input sizes; give the right one with --size";
  const outputs = graph.outputs.map((blob) => `${blob} ${formatShape(shapes.get(blob) ?? [])}`).join(", ");
  return `its outputs (${outputs}) are not made from convolutions on grids of the picture, as boxes are`;
}
