/** The models that can be asked for by name: what they are, where their files come from, and what these must hash to. */
import { expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { cocoLabels } from "./coco-labels.ts";

/** A file as it is published, pinned: another content under the same address is refused. */
export interface RegistryFile {
  /** Name on disk. Entries that name the same file mean the same content. */
  readonly name: string;
  /** https only. */
  readonly url: string;
  readonly bytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** A model that is known by name. */
export interface RegistryEntry {
  /** What a user types: lower case, digits and `-`, so that it is never a path. */
  readonly name: string;
  /** One sentence. */
  readonly description: string;
  /** SPDX identifier. */
  readonly licence: string;
  /** What there is to know about the licence beyond its name. */
  readonly licenceNote?: string;
  /** Where a person reads more. */
  readonly homepage: string;
  /** Class names in the order of the model's outputs. */
  readonly labels: readonly string[];
  /** Input size in pixels that the model is meant for. */
  readonly input: { readonly width: number; readonly height: number };
  /** Path within the package, for a model that comes with it; it has no `files`. */
  readonly builtIn?: string;
  /** The file to open first, then those that belong to it. */
  readonly files: readonly RegistryFile[];
}

/** The commit of YOLOv5-Lite at which its models are taken. */
const liteAt = "https://raw.githubusercontent.com/ppogg/YOLOv5-Lite/eebd5acb3f8f4a541791cab209dcc8e017d9746b";

const lite = {
  licence: "GPL-3.0",
  licenceNote:
    "at this commit the project's LICENSE file says MIT; it has said GPL-3.0 since, as does YOLOv5, which it is made from",
  homepage: "https://github.com/ppogg/YOLOv5-Lite",
  labels: cocoLabels,
} as const;

const liteCheckpoint: RegistryFile = {
  name: "yolov5ss.pt",
  url: `${liteAt}/weights/yolov5ss.pt`,
  bytes: 3528206,
  sha256: "b1275605d446df9e0e42f16021d27a54a246a18d978d48da270cef7bdaedf2b3",
};

/** In the order in which they are listed. */
export const registry: readonly RegistryEntry[] = [
  {
    name: "codefinder",
    description: "Printed codes: where they are and of which kind. Comes with ncnnkit",
    licence: "MIT",
    homepage: "models/codefinder.md",
    labels: ["QR", "Data Matrix", "Aztec", "PDF417", "barcode"],
    input: { width: 320, height: 320 },
    builtIn: "models/codefinder.pt",
    files: [],
  },
  {
    ...lite,
    name: "yolov5ss",
    description: "YOLOv5-Lite-s on COCO: the training checkpoint",
    input: { width: 640, height: 640 },
    files: [liteCheckpoint],
  },
  {
    ...lite,
    name: "yolov5ss-ncnn",
    description: "The same network as its author converted it to ncnn, fp16 storage",
    input: { width: 640, height: 640 },
    files: [
      {
        name: "yolov5ss.param",
        url: `${liteAt}/ncnn_demo/model_zoo/yolov5ss.param`,
        bytes: 16086,
        sha256: "15d03ae407bd666ffb6ecfee7f9416d35cefa34087fe351c2c2dd745e6a4bcfa",
      },
      {
        name: "yolov5ss.bin",
        url: `${liteAt}/ncnn_demo/model_zoo/yolov5ss.bin`,
        bytes: 3252796,
        sha256: "3d231c58e0b07c4644550e8501149388d5b7087e85c469327c80aaca9592bb67",
      },
      liteCheckpoint, // has the anchors and class names, which a .param does not
    ],
  },
  {
    ...lite,
    name: "yolov5ss-int8",
    description: "The author's int8 version; less accurate than what deploy makes of yolov5ss",
    input: { width: 640, height: 640 },
    files: [
      {
        name: "yolov5ss-int8.param",
        url: `${liteAt}/ncnn_demo/model_zoo/yolov5ss-int8.param`,
        bytes: 19976,
        sha256: "4bcf5fb4bfa0f0b77b070f21e9dc4b5e9cb0e8bcf1567b9d269d2d787cc5886a",
      },
      {
        name: "yolov5ss-int8.bin",
        url: `${liteAt}/ncnn_demo/model_zoo/yolov5ss-int8.bin`,
        bytes: 1686420,
        sha256: "fb2af0b18ac9124f5ea1c7539cc220d87051261ef69a2ecc3c94662553de0475",
      },
      liteCheckpoint,
    ],
  },
];

/** The entry of exactly this name. */
export function registryEntry(name: string): RegistryEntry | undefined {
  return registry.find((entry) => entry.name === name);
}

/** The same, or a UsageError that lists the names there are. */
export function requireEntry(name: string): RegistryEntry {
  expectKind("requireEntry: name", name, "a string");
  const entry = registryEntry(name);
  if (entry) return entry;
  throw new UsageError(`${name}: no model of this name; ${knownNames()}`);
}

export const knownNames = (): string => `names are ${registry.map(({ name }) => name).join(", ")}`;
