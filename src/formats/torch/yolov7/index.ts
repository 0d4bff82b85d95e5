/**
 * Models of YOLOv7, which has YOLOv5's classes and its own in the same files. Trained ones end in IDetect or IAuxDetect, published ones
 * mostly in YOLOv5's Detect.
 * Source: WongKinYiu/yolov7 models/yolo.py at a207844.
 */
import { UnsupportedError } from "../../../base/errors.ts";
import { emitLayers, type Framework } from "../framework.ts";
import { emitConvolution } from "../layers.ts";
import type { TorchModule } from "../module.ts";
import { PyObject } from "../values.ts";
import { type DetectParts, emitDetect } from "../yolov5/detect.ts";
import { anchorsOf, detectClass, nmsClass, trainingSize } from "../yolov5/index.ts";
import { blockEmitters, ownClasses } from "./blocks.ts";

const implicitClasses = new Set(["models.yolo.IDetect", "models.yolo.IAuxDetect"]);
const otherHeads: ReadonlyMap<string, string> = new Map([
  ["models.yolo.IBin", "sizes in bins"],
  ["models.yolo.IKeypoint", "key points for each anchor"],
]);

export const yolov7: Framework = {
  emitters: blockEmitters,
  claims(root) {
    if (root.className !== "models.yolo.Model") return false;
    const layers = root.optionalChild("model")?.children() ?? [];
    const classes = layers.map(([, { className }]) => className);
    const other = classes.find((name) => otherHeads.has(name));
    if (other) {
      throw new UnsupportedError(
        `the checkpoint holds a YOLOv7 model with ${otherHeads.get(other)} (${other}), a head that is not decoded: of YOLOv7 those that end in Detect, IDetect or IAuxDetect are read`,
      );
    }
    return classes.some((name) => ownClasses.has(name) || implicitClasses.has(name));
  },
  emit: (b, root) =>
    emitLayers(b, root, {
      is: ({ className }) => className === detectClass || implicitClasses.has(className),
      // The auxiliary heads of IAuxDetect read as many blobs more.
      inputs: (layer) => (implicitClasses.has(layer.className) ? layer.integer("nl", 1) : undefined),
      after: [nmsClass],
      emit: (layer, inputs) =>
        emitDetect(
          b,
          layer,
          inputs,
          anchorsOf(root),
          implicitClasses.has(layer.className) ? implicit(layer) : {},
        ),
    }),
  trainingSize,
};

/**
 * The convolution of a level with what the head has learnt beside: `im·(W·(x + ia) + bias)`. After fuse(), which replaces
 * `forward`, the weights hold that already.
 */
function implicit(head: TorchModule): DetectParts {
  const forward = head.attribute("forward");
  const isFused = forward instanceof PyObject && forward.className.endsWith(".fuseforward");
  const emitLevel: DetectParts["emitLevel"] = (b, m, x, level) => {
    if (isFused) return emitConvolution(b, m, x);
    const { shape, data } = m.tensor("weight", 4);
    const [outputs, inputs] = shape;
    if (shape[2] !== 1 || shape[3] !== 1 || m.integer("groups", 1) !== 1) {
      m.unsupported(
        `weights of shape [${shape}] in ${m.integer("groups", 1)} groups behind ImplicitA, expected 1x1 in one group`,
      );
    }
    const added = learnt(head, "ia", level, inputs);
    const factor = learnt(head, "im", level, outputs);
    const own = m.vector("bias", outputs);
    const weight = new Float32Array(m.pay(data.length));
    const bias = Float32Array.from({ length: outputs }, (_, k) => {
      let sum = own[k];
      for (let i = 0; i < inputs; i++) sum += data[k * inputs + i] * added[i];
      return sum * factor[k];
    });
    for (let at = 0; at < data.length; at++) weight[at] = data[at] * factor[Math.floor(at / inputs)];
    return emitConvolution(b, m, x, { weight, bias });
  };
  return { children: ["m", "ia", "im", "m2?"], emitLevel };
}

/** The values of ImplicitA or ImplicitM, one a channel. */
function learnt(head: TorchModule, part: "ia" | "im", level: number, channels: number): Float32Array {
  const m = head.child(part).child(`${level}`);
  const { shape, data } = m.tensor("implicit");
  return data.length === channels
    ? data
    : m.fail(`implicit has shape [${shape}], expected [1,${channels},1,1]`);
}
