/**
 * Parallel branches that are summed become one convolution (RepVGG, ACNet, a residual around a single convolution):
 * conv_k×k(x) + conv_1×1(x) + BatchNorm(x) + x. The smaller kernel is laid into the larger one where both read the same
 * pixels; BatchNorm and identity are 1×1 kernels with a diagonal.
 */
import { match, type Node } from "../ir/graph.ts";
import { f32Weight, weightToFloat32 } from "../ir/weight.ts";
import { batchNorm, batchNormAffine } from "../ops/batch-norm.ts";
import { binaryOp } from "../ops/binary-op.ts";
import { convolution } from "../ops/convolution.ts";
import { convolutionDepthWise } from "../ops/convolution-depthwise.ts";
import { eltwise } from "../ops/eltwise.ts";
import { eachNode } from "./_fold.ts";
import { biasOf, foldObstacle, setBias } from "./_linear.ts";
import { arithmetic, num, setParams } from "./_params.ts";
import type { Wiring } from "./_wiring.ts";
import type { Log, Pass } from "./pass.ts";

const isHost = (node: Node): boolean => [convolution.type, convolutionDepthWise.type].includes(node.type);

function isSum(node: Node): boolean {
  const { operator, scalar } = arithmetic(node) ?? {};
  return node.inputs.length >= 2 && operator === "add" && scalar === undefined;
}

/** Kernel size, first tap's position relative to the window of stride 1, and step between taps, along one axis. */
interface Axis {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly after: number;
}

/** A branch as a grouped convolution. Weight layout: `[outputs, inputs/group, y, x]`. */
interface Branch {
  readonly outputs: number;
  readonly inputsPerGroup: number;
  readonly group: number;
  readonly y: Axis;
  readonly x: Axis;
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

function branchOf(node: Node): Branch {
  const p = (name: string): number => num(node, name, 1);
  const weight = weightToFloat32(node.weights.weight);
  const outputs = p("num_output");
  return {
    outputs,
    inputsPerGroup: weight.length / outputs / (p("kernel_h") * p("kernel_w")),
    group: p("group"),
    y: {
      kernel: p("kernel_h"),
      stride: p("stride_h"),
      dilation: p("dilation_h"),
      before: p("pad_top"),
      after: p("pad_bottom"),
    },
    x: {
      kernel: p("kernel_w"),
      stride: p("stride_w"),
      dilation: p("dilation_w"),
      before: p("pad_left"),
      after: p("pad_right"),
    },
    weight,
    bias: biasOf(node),
  };
}

/** The branch x·scale + bias as a 1×1 convolution in the groups of `host`. */
function diagonal(host: Branch, scale: ArrayLike<number>, bias: ArrayLike<number>): Branch {
  const unit: Axis = { kernel: 1, stride: 1, dilation: 1, before: 0, after: 0 };
  const { outputs, group, inputsPerGroup } = host;
  const weight = new Float32Array(outputs * inputsPerGroup);
  for (let k = 0; k < outputs; k++) weight[k * inputsPerGroup + (k % inputsPerGroup)] = scale[k];
  return { outputs, inputsPerGroup, group, y: unit, x: unit, weight, bias: Float32Array.from(bias) };
}

const span = ({ kernel, dilation }: Axis): number => dilation * (kernel - 1);

/** At which tap of `host` the kernel of `guest` begins so that both read the same pixels; undefined: at none. */
function tapOffset(host: Axis, guest: Axis): number | undefined {
  const samePlaces = guest.kernel === 1 || guest.dilation === host.dilation;
  const sameSize = span(host) - host.before - host.after === span(guest) - guest.before - guest.after;
  if (host.stride !== guest.stride || !samePlaces || !sameSize) return undefined;
  const offset = (host.before - guest.before) / host.dilation;
  const fits = Number.isInteger(offset) && offset >= 0 && offset + guest.kernel <= host.kernel;
  return fits ? offset : undefined;
}

/** Why the guest's kernel cannot be laid into the host's, or the place where it goes. */
function placeIn(host: Branch, guest: Branch): string | { y: number; x: number } {
  if (
    host.outputs !== guest.outputs ||
    host.inputsPerGroup !== guest.inputsPerGroup ||
    host.group !== guest.group
  ) {
    return "channels or groups differ";
  }
  const y = tapOffset(host.y, guest.y);
  const x = tapOffset(host.x, guest.x);
  return y === undefined || x === undefined ? "the windows do not lie in each other" : { y, x };
}

/** The host's weights with the guest's added at their place; sums in double precision, rounded once. */
function addedWeights(host: Branch, guest: Branch, at: { y: number; x: number }): Float32Array {
  const sum = host.weight.slice();
  let g = 0;
  for (let plane = 0; plane < host.outputs * host.inputsPerGroup; plane++) {
    for (let y = 0; y < guest.y.kernel; y++) {
      const row = (plane * host.y.kernel + y + at.y) * host.x.kernel + at.x;
      for (let x = 0; x < guest.x.kernel; x++) sum[row + x] += guest.weight[g++];
    }
  }
  return sum;
}

/** Why this convolution can take part in no merge, or undefined. */
function branchObstacle(node: Node): string | undefined {
  const pads = ["pad_left", "pad_right", "pad_top", "pad_bottom"].map((name) => num(node, name));
  if (pads.some((pad) => pad < 0)) return "has padding that depends on the input's size";
  if (num(node, "pad_value") !== 0) return "pads with a value other than 0";
  return foldObstacle(node);
}

/** What another input of the sum is, seen from the input of the host: a 1×1 or k×k convolution of the same blob. */
function guestOf(
  blob: string,
  sum: Node,
  source: string,
  host: Branch,
  wiring: Wiring,
): Branch | string | undefined {
  if (blob === source) {
    if (host.inputsPerGroup * host.group !== host.outputs) return "channels of input and output differ";
    return diagonal(host, new Float32Array(host.outputs).fill(1), new Float32Array(host.outputs));
  }
  const node = wiring.producer(blob);
  if (!node || node.inputs[0] !== source || wiring.soleReader(node) !== sum) return undefined;
  if (isHost(node)) return branchObstacle(node) ?? branchOf(node);
  const p = match(node, batchNorm);
  if (!p) return undefined;
  if (host.inputsPerGroup * host.group !== host.outputs) return "channels of input and output differ";
  const { scale, bias } = batchNormAffine(node.weights, p.eps);
  return diagonal(host, scale, bias);
}

/** Lays the first input of the sum that fits into the host; true when there was one. */
function mergeOne(sum: Node, hostNode: Node, wiring: Wiring, log?: Log): boolean {
  const host = branchOf(hostNode);
  const [source] = hostNode.inputs;
  for (const [i, blob] of sum.inputs.entries()) {
    if (blob === hostNode.outputs[0]) continue;
    const guest = guestOf(blob, sum, source, host, wiring);
    if (guest === undefined) continue;
    const place = typeof guest === "string" ? guest : placeIn(host, guest);
    if (typeof guest === "string" || typeof place === "string") {
      log?.(`"${blob}" is not merged into "${hostNode.name}": ${place}`);
      continue;
    }
    hostNode.weights = { ...hostNode.weights, weight: f32Weight(addedWeights(host, guest, place)) };
    const bias = host.bias.map((value, k) => value + guest.bias[k]);
    if (hostNode.weights.bias || bias.some((value) => value !== 0)) setBias(hostNode, bias);
    wiring.setInputs(
      sum,
      sum.inputs.filter((_, k) => k !== i),
    );
    if (sum.params.coeffs) setParams(sum, { coeffs: [] });
    const producer = wiring.producer(blob);
    if (blob !== source && producer) wiring.removeIfUnread(producer);
    wiring.rewrote();
    return true;
  }
  return false;
}

/** Convolutions that only this sum reads, those with the largest kernels first. */
function hostsOf(sum: Node, wiring: Wiring): Node[] {
  const nodes = sum.inputs.map((blob) => wiring.producer(blob)).filter((node) => node !== undefined);
  const hosts = nodes.filter(
    (node) => isHost(node) && wiring.soleReader(node) === sum && !branchObstacle(node),
  );
  const area = (node: Node): number => num(node, "kernel_w") * num(node, "kernel_h");
  return hosts.sort((a, b) => area(b) - area(a));
}

export const mergeBranches: Pass = {
  name: "merge-branches",
  run: (graph, log) =>
    eachNode(graph, [binaryOp, eltwise], (sum, wiring) => {
      if (!isSum(sum)) return;
      for (const host of hostsOf(sum, wiring)) {
        if (wiring.producer(host.outputs[0]) !== host || !sum.inputs.includes(host.outputs[0])) continue;
        while (sum.inputs.length > 1 && mergeOne(sum, host, wiring, log));
        if (sum.inputs.length === 1) {
          wiring.absorb(host, sum);
          return;
        }
      }
    }),
};
