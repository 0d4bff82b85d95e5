/** What clients send and get, as zod schemas: requests are checked with them, and the OpenAPI document is made of them. */
import { z } from "zod";
import type { ModelFacts } from "./messages.ts";

export const refusal = z
  .object({ error: z.string().describe("One line: what is wrong, what was found, what was expected.") })
  .meta({ id: "Refusal" });

const place = { x: z.number(), y: z.number() };

const box = z
  .object({ ...place, width: z.number(), height: z.number() })
  .describe("Left top corner and extent, in pixels of the picture, upright as EXIF says.")
  .meta({ id: "Box" });

export const detection = z
  .object({
    task: z.enum(["detect", "segment", "pose", "obb", "classify"]),
    label: z.string(),
    classId: z.int().min(0),
    score: z.number().min(0).max(1),
    box: box.optional().describe("Of everything but classes of whole pictures."),
    mask: z
      .object({ size: z.array(z.int()).length(2), counts: z.string() })
      .optional()
      .describe("Pixels of the object, COCO's compressed run lengths."),
    points: z
      .array(z.object({ ...place, score: z.number().optional() }))
      .optional()
      .describe("Key points or landmarks, in the model's order."),
    rotated: z
      .object({ ...place, width: z.number(), height: z.number(), angle: z.number() })
      .optional()
      .describe("Middle, extent and angle in radians, clockwise, of a turned box."),
    corners: z.array(z.number()).length(8).optional().describe("x and y of a turned box's corners."),
  })
  .meta({ id: "Detection" });

export const detections = z
  .object({
    model: z.string(),
    task: z.string(),
    images: z.array(
      z.object({
        name: z.string().describe("File name of the upload or address of the picture."),
        width: z.int().min(1),
        height: z.int().min(1),
        warning: z.string().optional().describe("What is wrong with a file that could be read nevertheless."),
        detections: z.array(detection),
      }),
    ),
  })
  .meta({ id: "Detections" });

export const pictureUrls = z
  .strictObject({ urls: z.array(z.url({ protocol: /^https?$/ })).min(1) })
  .meta({ id: "PictureUrls" });

// ---- the Open Inference Protocol

export const serverFacts = z
  .object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) })
  .meta({ id: "ServerMetadata" });

export const live = z.object({ live: z.boolean() }).meta({ id: "Live" });
export const ready = z.object({ ready: z.boolean() }).meta({ id: "Ready" });
export const modelReady = z.object({ name: z.string(), ready: z.boolean() }).meta({ id: "ModelReady" });

const tensorFacts = z
  .object({ name: z.string(), datatype: z.string(), shape: z.array(z.int()) })
  .meta({ id: "TensorMetadata" });

export const modelFacts = z
  .object({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: z.array(tensorFacts),
    outputs: z.array(tensorFacts),
    parameters: z
      .object({ task: z.string().optional(), labels: z.array(z.string()) })
      .describe("Not of the protocol: what the model finds."),
  })
  .meta({ id: "ModelMetadata" });

/** Other parameters are the business of other servers: they are let through and mean nothing. */
const binarySize = z
  .looseObject({
    binary_data_size: z.int().min(0).optional().describe("Bytes of this tensor behind the JSON."),
  })
  .meta({ id: "InputParameters" });

/** A request for inference; with what models have, the document says which names and shapes there are. */
export function inferRequestFor(models: readonly Pick<ModelFacts, "input" | "outputs">[] = []) {
  const names = (all: readonly string[]) => (all.length ? z.enum([...new Set(all)]) : z.string());
  const shapes = models.map(({ input }) => input.shape);
  const shape = z.array(z.int().min(1)).min(1).max(5);
  return z
    .object({
      id: z.string().optional(),
      parameters: z
        .looseObject({
          binary_data_output: z.boolean().optional().describe("Outputs as bytes behind the JSON."),
          timeout: z.int().min(1).optional().describe("Microseconds until the work has to have begun."),
        })
        .optional(),
      inputs: z
        .array(
          z.object({
            name: names(models.map(({ input }) => input.name)),
            shape: shape
              .meta(shapes.length ? { examples: shapes.map((own) => [1, ...own]) } : {})
              .describe("As in the metadata; the batch may be left out."),
            datatype: z.literal("FP32"),
            parameters: binarySize.optional(),
            data: z.unknown().optional().meta({
              type: "array",
              description: "Numbers row by row, nested or flat; absent where the tensor is behind the JSON.",
            }),
          }),
        )
        .length(1),
      outputs: z
        .array(
          z.object({
            name: names(models.flatMap(({ outputs }) => outputs.map(({ name }) => name))),
            parameters: z
              .looseObject({
                binary_data: z.boolean().optional(),
                classification: z.never().optional().describe("Triton's classification is not there."),
              })
              .optional(),
          }),
        )
        .optional()
        .describe("All of the model's if absent."),
    })
    .meta({ id: "InferRequest" });
}
export const inferRequest = inferRequestFor();

export const inferResponse = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    id: z.string().optional(),
    outputs: z.array(
      z.object({
        name: z.string(),
        shape: z.array(z.int()),
        datatype: z.string(),
        parameters: z.object({ binary_data_size: z.int() }).optional(),
        data: z.array(z.number()).optional(),
      }),
    ),
  })
  .meta({ id: "InferResponse" });

/** What a schema finds wrong, in one line. */
export function complaintOf(error: z.ZodError): string {
  const [{ path, message }] = error.issues;
  const where = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("");
  return `${where.replace(/^\./, "") || "the whole"}: ${message}`;
}
