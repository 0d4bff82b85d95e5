/**
 * Projects whose checkpoints are not read: how theirs are told, why, and what to do. They save weights without the network, or whole
 * models that the project's own code runs in a way of its own.
 */

import { brief } from "../../base/text.ts";

interface Project {
  readonly title: string;
  /** Its Python packages. */
  readonly packages: readonly string[];
  /** What the name of one of its weights has, and those of the others have not. */
  readonly weight?: RegExp;
  /** Why its checkpoints are not read, if not for lack of someone who wrote it. */
  readonly why?: string;
  /** What the project exports with. */
  readonly exporter?: string;
}

/** Those whose weights are told by fewer letters come later. */
const projects: readonly Project[] = [
  {
    title: "YOLO-World",
    packages: ["yolo_world"],
    weight: /(^|\.)(text_model|cls_contrasts)\./,
    why: "its classes are texts that are put in beside the picture",
    exporter: "deploy/export_onnx.py, with the texts that are wanted",
  },
  {
    title: "RT-DETR",
    packages: ["rtdetr", "rfdetr"],
    weight: /(^|\.)decoder\.(enc_score_head|dec_score_head|enc_bbox_head)\./,
    why: "its boxes come from a decoder of queries, not from a grid",
    exporter: "tools/export_onnx.py",
  },
  {
    title: "DETR",
    packages: [],
    weight: /(^|\.)(class_embed|query_embed|bbox_embed|class_labels_classifier)\./,
    why: "its boxes come from a decoder of queries, not from a grid",
  },
  {
    title: "YOLO-NAS",
    packages: ["super_gradients"],
    weight: /(^|\.)heads\.head\d\.(cls_pred|reg_pred|bbox_stem|cls_convs)\b/,
    exporter: 'model.export("model.onnx")',
  },
  {
    title: "YOLOX",
    packages: ["yolox"],
    weight: /(^|\.)(backbone\.backbone\.(stem|dark\d)|head\.obj_preds)\./,
    exporter: "tools/export_onnx.py",
  },
  {
    title: "NanoDet",
    packages: ["nanodet"],
    weight: /(^|\.)head\.gfl_(cls|reg)\./,
    exporter: "tools/export_onnx.py",
  },
  {
    title: "MMDetection",
    packages: ["mmdet", "mmengine", "mmcv", "mmyolo"],
    weight: /^(module\.)?(bbox_head|rpn_head|roi_head|panoptic_head)\./,
    exporter: "mmdeploy",
  },
  {
    title: "Detectron2",
    packages: ["detectron2", "fvcore"],
    weight: /^(module\.)?(proposal_generator|backbone\.bottom_up)\./,
    exporter: "tools/deploy/export_model.py",
  },
  {
    title: "torchvision",
    packages: ["torchvision"],
    weight: /^(module\.)?(rpn\.head|roi_heads|head\.(classification_head|regression_head))\./,
    exporter: "torch.onnx.export",
  },
  { title: "Hugging Face", packages: ["transformers"], exporter: "optimum-cli export onnx" },
  { title: "timm", packages: ["timm"], exporter: "onnx_export.py" },
];

/** Projects whose checkpoints are read where they hold the whole model. */
const readWhole: readonly { title: string; weight: RegExp }[] = [
  { title: "YOLOv6", weight: /^(module\.)?(backbone\.(stem|ERBlock_\d)|detect\.(stems|cls_preds))\./ },
  { title: "YOLOv5, v7, v8 or their like", weight: /^(module\.)?model\.(model\.)?\d+\./ },
];

/** The project of a package, in words, or nothing. */
export function packageRefusal(top: string, shown: string): string | undefined {
  const project = projects.find(({ packages }) => packages.includes(top));
  return (
    project &&
    `a checkpoint of ${project.title}, package ${top} (it holds ${shown}), which is not read${because(project)}: ${advice(project)}`
  );
}

/** What weights without a network are told to be, and what to do with them. */
export function weightsRefusal(names: readonly string[]): string {
  const nameOf = ({ weight }: { weight?: RegExp }): string | undefined =>
    weight && names.find((name) => weight.test(name));
  const example = (name = names[0]): string =>
    `${names.length} entries such as "${name === undefined ? "" : brief(name)}"`;
  const project = projects.find(nameOf);
  if (project) {
    return `weights only, as of ${project.title} (a state_dict of ${example(nameOf(project))}): the network's structure is missing${because(project)}; ${advice(project)}`;
  }
  const known = readWhole.find(nameOf);
  const whose = known ? `, as of ${known.title}` : "";
  return `weights only${whose} (a state_dict of ${example(known && nameOf(known))}): the network's structure is missing. Save the whole model in the project that trained it, torch.save({"model": model}, "model.pt"), or export it to ONNX`;
}

const because = ({ why }: Project): string => (why ? `, and ${why}` : "");
const advice = ({ exporter }: Project): string =>
  `export it to ONNX in the project that trained it${exporter ? ` (${exporter})` : ""} and convert that`;
