/** The networks of ncnn's benchmark, in its order, and YOLOv5-Lite. Built without weights: `synthesize` makes those. */
import type { Graph } from "../ir/graph.ts";
import { alexnet } from "./alexnet.ts";
import { blazeface } from "./blazeface.ts";
import { efficientnetB0, efficientnetV2B0 } from "./efficientnet.ts";
import { fastestDet } from "./fastestdet.ts";
import { googlenet } from "./googlenet.ts";
import { markInt8 } from "./int8.ts";
import { mnasnet } from "./mnasnet.ts";
import { mobilenet, mobilenetV2, mobilenetV3 } from "./mobilenet.ts";
import { nanodetM } from "./nanodet.ts";
import { proxylessnasnet } from "./proxylessnasnet.ts";
import { regnetY400M } from "./regnet.ts";
import { resnet18, resnet50 } from "./resnet.ts";
import { shufflenet, shufflenetV2 } from "./shufflenet.ts";
import { squeezenet } from "./squeezenet.ts";
import { mobilenetSsd, squeezenetSsd } from "./ssd.ts";
import { vgg16 } from "./vgg.ts";
import { visionTransformer } from "./vision-transformer.ts";
import { mobilenetV2YoloV3, mobilenetYolo, yolov4Tiny } from "./yolo.ts";
import { yoloFastest11, yoloFastestV2 } from "./yolo-fastest.ts";
import { yolov5Lite } from "./yolov5-lite.ts";

/** One row of the benchmark's table. */
export interface ZooNetwork {
  readonly name: string;
  /** Width and height of the input, which has three channels. */
  readonly size: number;
  /** The graph, without weights. */
  build(): Graph;
}

function float(name: string, size: number, make: (size: number) => Graph): ZooNetwork {
  return { name, size, build: () => make(size) };
}

/** The float network and its int8 twin. `fullyConnected`: whether fully connected layers are int8 too. */
function both(
  name: string,
  size: number,
  make: (size: number) => Graph,
  fullyConnected: "float" | "int8" = "float",
): ZooNetwork[] {
  const build = (): Graph => markInt8(make(size), fullyConnected === "int8");
  return [float(name, size, make), { name: `${name}_int8`, size, build }];
}

export const zoo: readonly ZooNetwork[] = [
  ...both("squeezenet", 227, squeezenet),
  ...both("mobilenet", 224, mobilenet, "int8"),
  float("mobilenet_v2", 224, mobilenetV2),
  float("mobilenet_v3", 224, mobilenetV3),
  float("shufflenet", 224, shufflenet),
  float("shufflenet_v2", 224, shufflenetV2),
  float("mnasnet", 224, mnasnet),
  float("proxylessnasnet", 224, proxylessnasnet),
  float("efficientnet_b0", 224, efficientnetB0),
  float("efficientnetv2_b0", 224, efficientnetV2B0),
  float("regnety_400m", 224, regnetY400M),
  float("blazeface", 128, blazeface),
  ...both("googlenet", 224, googlenet),
  ...both("resnet18", 224, resnet18),
  float("alexnet", 227, alexnet),
  ...both("vgg16", 224, vgg16, "int8"),
  ...both("resnet50", 224, resnet50),
  ...both("squeezenet_ssd", 300, squeezenetSsd),
  ...both("mobilenet_ssd", 300, mobilenetSsd),
  float("mobilenet_yolo", 416, mobilenetYolo),
  float("mobilenetv2_yolov3", 352, mobilenetV2YoloV3),
  float("yolov4-tiny", 416, yolov4Tiny),
  float("nanodet_m", 320, nanodetM),
  float("yolo-fastest-1.1", 320, yoloFastest11),
  float("yolo-fastestv2", 352, yoloFastestV2),
  float("vision_transformer", 384, visionTransformer),
  float("FastestDet", 352, fastestDet),
  ...[320, 416, 640].flatMap((size) =>
    (["yolov5ss", "v5lite-e", "v5lite-s"] as const).flatMap((name) =>
      both(`${name}_${size}`, size, (side) => yolov5Lite(name, side)),
    ),
  ),
];
