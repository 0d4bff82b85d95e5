/** Who makes and who reads every blob, kept up to date while a pass rewrites, so that a pass stays linear in time. */
import { type Graph, type Node, opOf } from "../ir/graph.ts";
import { ops } from "../ops/index.ts";

export class Wiring {
  private readonly graph: Graph;
  private readonly producers: Map<string, Node>;
  private readonly consumers: Map<string, Node[]>;
  private readonly gone = new Set<Node>();
  /** Nodes that are new or have moved, with the node that they stand behind. */
  private readonly places = new Map<Node, Node>();
  private count = 0;

  constructor(graph: Graph) {
    this.graph = graph;
    this.producers = graph.producers();
    this.consumers = graph.consumers();
  }

  /** The nodes in order, without those removed meanwhile. */
  *nodes(): Generator<Node> {
    for (const node of this.graph.nodes) if (!this.gone.has(node)) yield node;
  }
  producer(blob: string): Node | undefined {
    return this.producers.get(blob);
  }
  /**
   * Nodes that read the blob; one that reads it twice is listed twice. None: it is an output of the graph. The list changes
   * with the graph: copy it before rewriting in a loop.
   */
  readers(blob: string): readonly Node[] {
    return this.consumers.get(blob) ?? [];
  }
  /** The one node that reads the only output of `node`, through one of its inputs. */
  soleReader(node: Node): Node | undefined {
    if (node.outputs.length !== 1) return undefined;
    const readers = this.readers(node.outputs[0]);
    return readers.length === 1 ? readers[0] : undefined;
  }
  /** Counts a rewrite. */
  rewrote(): void {
    this.count++;
  }

  setInputs(node: Node, inputs: readonly string[]): void {
    for (const blob of node.inputs) this.removeReader(blob, node);
    node.inputs = [...inputs];
    for (const blob of inputs) this.addReader(blob, node);
  }

  /** `node` swallows its sole reader: it makes the reader's output, and the reader is gone. */
  absorb(node: Node, reader: Node): void {
    this.remove(reader);
    this.rename(node, reader.outputs[0]);
    this.count++;
  }

  /**
   * Takes out a node whose only output equals its first input. Not possible (false) where the output is one of the
   * graph's, which keep their names, and the input is fed by the caller, a constant, or has other readers.
   */
  bypass(node: Node): boolean {
    const [from] = node.inputs;
    const [to] = node.outputs;
    const readers = this.readers(to);
    if (readers.length === 0) {
      const producer = this.producers.get(from);
      if (!producer || opOf(producer, ops).source || this.readers(from).length !== 1) return false;
      this.remove(node);
      this.rename(producer, to, from);
    } else {
      for (const reader of new Set(readers)) {
        this.setInputs(
          reader,
          reader.inputs.map((blob) => (blob === to ? from : blob)),
        );
      }
      this.remove(node);
    }
    this.count++;
    return true;
  }

  /** Makes `blob` the only output of `node`, whatever made it before. */
  setOutput(node: Node, blob: string): void {
    node.outputs = [blob];
    this.producers.set(blob, node);
  }

  /** Removes a node, and constants that only it has read. */
  remove(node: Node): void {
    this.gone.add(node);
    for (const blob of node.inputs) {
      this.removeReader(blob, node);
      const producer = this.producers.get(blob);
      if (producer && opOf(producer, ops).source === "constant") this.removeIfUnread(producer);
    }
  }
  /** Removes a node that has lost its last reader. */
  removeIfUnread(node: Node): void {
    if (node.outputs.every((blob) => this.readers(blob).length === 0)) this.remove(node);
  }

  /** Moves a node of the graph right behind another one. */
  moveBehind(place: Node, node: Node): void {
    this.places.set(node, place);
  }
  /** Puts a new node right behind another one. */
  insertBehind(place: Node, node: Node): void {
    this.places.set(node, place);
    for (const blob of node.inputs) this.addReader(blob, node);
    for (const blob of node.outputs) this.producers.set(blob, node);
  }

  /** Gives an output of `node` the name of a blob whose own producer is gone. */
  rename(node: Node, to: string, from = node.outputs[0]): void {
    this.producers.delete(from);
    this.consumers.delete(from);
    node.outputs = node.outputs.map((blob) => (blob === from ? to : blob));
    this.producers.set(to, node);
  }

  /** Writes the node list back and returns the number of rewrites. */
  commit(): number {
    if (this.count === 0) return 0;
    const behind = new Map<Node, Node[]>();
    for (const [node, place] of this.places) behind.set(place, [...(behind.get(place) ?? []), node]);
    const emit = (node: Node): Node[] => [
      ...(this.gone.has(node) ? [] : [node]),
      ...(behind.get(node) ?? []).flatMap(emit),
    ];
    this.graph.nodes = this.graph.nodes.filter((node) => !this.places.has(node)).flatMap(emit);
    return this.count;
  }

  private addReader(blob: string, node: Node): void {
    const readers = this.consumers.get(blob);
    if (readers) readers.push(node);
    else this.consumers.set(blob, [node]);
  }
  private removeReader(blob: string, node: Node): void {
    const readers = this.consumers.get(blob) ?? [];
    for (let i = readers.indexOf(node); i >= 0; i = readers.indexOf(node, i)) readers.splice(i, 1);
  }
}
