/** ONNX models that are well-formed and say something else: wiring, attributes, shapes, operators, constants. */
import type { Random } from "../../src/base/random.ts";
import { type OnnxModel, supportedOperators } from "../../src/formats/onnx/index.ts";
import { nastyNumbers as nasty } from "./mutate.ts";

/** Changes what a valid file says: wiring, attributes, shapes, operators, shape arithmetic. */
export function distort(model: OnnxModel, random: Random): void {
  const { graph } = model;
  const names = [...graph.nodes.flatMap((node) => node.outputs), ...graph.initializers.keys(), "", "nowhere"];
  for (let changes = random.int(1, 3); changes > 0; changes--) {
    const node = random.pick(graph.nodes);
    const kind = random.int(0, 9);
    if (kind === 0) node.inputs[random.int(0, node.inputs.length)] = random.pick(names);
    else if (kind === 1) node.inputs.splice(random.int(0, node.inputs.length), 1);
    else if (kind === 2) node.outputs[random.int(0, node.outputs.length)] = random.pick(names);
    else if (kind === 3) node.opType = random.pick(supportedOperators);
    else if (kind === 4) graph.nodes.splice(graph.nodes.indexOf(node), 1);
    else if (kind === 5) distortShapes(model, random);
    else if (kind === 6) distortConstant(model, random);
    else distortAttribute(node, random);
    if (graph.nodes.length === 0) return;
  }
}

function distortShapes({ graph }: OnnxModel, random: Random): void {
  graph.inputs = graph.inputs.map((info) => {
    const shape = [...(info.shape ?? [])];
    const at = random.int(0, shape.length);
    if (random.next() < 0.2) shape.splice(at, 1);
    else shape[at] = Math.abs(random.pick(nasty));
    return { ...info, shape };
  });
}

function distortConstant({ graph }: OnnxModel, random: Random): void {
  if (graph.initializers.size === 0) return;
  const [name, tensor] = random.pick([...graph.initializers]);
  const data = tensor.data.slice();
  const dims = [...tensor.dims];
  const kind = random.int(0, 3);
  if (kind === 0) dims.reverse();
  else if (kind === 1) dims.splice(random.int(0, dims.length), 0, 1);
  else data[random.int(0, data.length)] = random.pick(nasty);
  graph.initializers.set(name, { ...tensor, dims, data });
}

function distortAttribute(node: OnnxModel["graph"]["nodes"][number], random: Random): void {
  const found = Object.entries(node.attributes);
  if (found.length === 0) return;
  const [name, attribute] = random.pick(found);
  if (random.next() < 0.2) delete node.attributes[name];
  else if (attribute.kind === "int") node.attributes[name] = { kind: "int", value: random.pick(nasty) };
  else if (attribute.kind === "float")
    node.attributes[name] = { kind: "float", value: random.pick([0, -1, 1e30]) };
  else if (attribute.kind === "string") node.attributes[name] = { kind: "string", value: "whatever" };
  else if (attribute.kind === "ints") {
    const value = [...attribute.value];
    if (random.next() < 0.3) value.splice(random.int(0, value.length), 1);
    else value[random.int(0, value.length)] = random.pick(nasty);
    node.attributes[name] = { kind: "ints", value };
  }
}
