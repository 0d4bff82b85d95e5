/** `POST /detect`: pictures in, what is on them out. */
import { z } from "zod";
import type { Body } from "./body.ts";
import { type Endpoint, readQuery, type ServeContext } from "./endpoint.ts";
import type { DetectQuestion, ModelFacts, SentBody } from "./messages.ts";
import { Refusal } from "./refusal.ts";
import { complaintOf, detections, pictureUrls } from "./schemas.ts";
import { fetchPicture } from "./urls.ts";
import { type Clock, type Works, work } from "./work.ts";

type Facts = ReadonlyMap<string, ModelFacts>;

/** By what is served, which a reload replaces: to make one takes as long as hundreds of requests take to be checked with it. */
const querySchemas = new WeakMap<Facts, ReturnType<typeof makeQuerySchema>>();

/** Parameters, whose choices are the models that are served. */
function querySchema(facts: Facts): ReturnType<typeof makeQuerySchema> {
  const schema = querySchemas.get(facts) ?? makeQuerySchema(facts);
  querySchemas.set(facts, schema);
  return schema;
}

function makeQuerySchema(facts: Facts) {
  const detectors = [...facts.values()].filter(({ whyNoHeads }) => whyNoHeads === undefined);
  const labels = [...new Set(detectors.flatMap((each) => each.labels))].filter(
    (label) => !label.includes(","),
  );
  const last = Math.max(0, ...detectors.map((each) => each.labels.length - 1));
  const number = z.int().min(0).max(last);
  return z.strictObject({
    model: z
      .enum([...facts.keys()])
      .optional()
      .describe("Which model; the first if not said."),
    confidence: z.number().min(0).max(1).optional().describe("Least score; 0.25 if not said, for classes 0."),
    iou: z.number().min(0).max(1).optional().describe("Overlap above which the weaker box goes; 0.45."),
    max: z.int().min(0).max(100_000).optional().describe("Most objects of a picture, 300; or classes, 5."),
    classes: z
      .array(labels.length ? z.union([number, z.enum(labels)]) : number)
      .min(1)
      .optional()
      .describe("Only these classes, by number or name, comma between."),
    agnostic: z.enum(["0", "1"]).optional().describe("1: boxes of different classes suppress each other."),
    draw: z.enum(["0", "1"]).optional().describe("1: the picture with what was found; its format by accept."),
  });
}

const drawn = ["image/jpeg", "image/png", "image/webp"];

/** What `accept` likes best of the formats that are drawn: JPEG if it does not care. */
function drawFormat(accept: string | undefined): "jpeg" | "png" | "webp" {
  const named = (accept ?? "").match(/image\/(jpeg|png|webp)/i)?.[1]?.toLowerCase();
  return named === "png" || named === "webp" ? named : "jpeg";
}

export function pictureEndpoints(works: Works): Endpoint[] {
  const { models, limits, urls } = works;
  const multipart = z.object({
    picture: z
      .array(z.string().meta({ format: "binary" }))
      .min(1)
      .max(limits.pictures),
  });
  return [
    {
      method: "post",
      path: "/detect",
      doc: {
        summary: "What is on one or more pictures.",
        get query() {
          return querySchema(models.facts);
        },
        timed: true,
        body: {
          "image/jpeg": "binary",
          "image/png": "binary",
          "application/octet-stream": "binary",
          "multipart/form-data": multipart,
          ...(urls && { "application/json": pictureUrls }),
        },
        answers: {
          200: { about: "What was found, or with draw=1 the picture.", json: detections, others: drawn },
        },
        refusals: [400, 403, 408, 413, 415, 422, ...(urls ? [502] : []), 503, 504],
      },
      handle: (context) => detect(context, works),
    },
  ];
}

function detect(context: ServeContext, works: Works): Promise<Response> {
  const { models, limits } = works;
  const query = readQuery(context, querySchema(models.facts));
  const facts = models.require(query.model ?? [...models.facts.keys()][0]);
  if (facts.whyNoHeads !== undefined) {
    throw new Refusal(400, `${facts.whyNoHeads}; ask for its tensors at /v2/models/${facts.name}/infer`);
  }
  const type = context.req.header("content-type") ?? "";
  const [media] = type.toLowerCase().split(";");
  checkMedia(media.trim(), works);
  return work(context, works, facts.name, async (body, clock, latest): Promise<DetectQuestion> => {
    const { confidence, iou, max: maxDetections, classes, agnostic, draw } = query;
    return {
      kind: "detect",
      model: facts.name,
      deadline: clock.deadline,
      latest,
      limits,
      options: { confidence, iou, maxDetections, classes, ...(agnostic && { agnostic: agnostic === "1" }) },
      draw: draw === "1" ? drawFormat(context.req.header("accept")) : undefined,
      body:
        media.trim() === "application/json"
          ? await fetched(body, works, clock)
          : sent(body, type, context.req.header("content-encoding") ?? ""),
    };
  });
}

function sent(body: Body, type: string, encoding: string): SentBody {
  if (!body.bytes.length) throw new Refusal(400, "the body is empty; expected a picture");
  return { bytes: body.bytes, type, encoding };
}

/** A picture's content tells its format, so any type that programs send for bytes will do. */
function checkMedia(media: string, { urls }: Works): void {
  const isBytes =
    /^(|image\/.+|application\/(octet-stream|x-www-form-urlencoded)|multipart\/form-data)$/.test(media);
  if (isBytes || (media === "application/json" && urls)) return;
  const off = media === "application/json" ? "; addresses of pictures are not taken (--allow-urls)" : "";
  throw new Refusal(
    415,
    `content-type ${JSON.stringify(media)}: expected the bytes of a picture (image/…, application/octet-stream) or multipart/form-data${off}`,
  );
}

/** The pictures that a list of addresses means. */
async function fetched(body: Body, { urls, limits }: Works, clock: Clock): Promise<SentBody> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(body.bytes));
  } catch (error) {
    throw new Refusal(400, `the body is no JSON: ${(error as Error).message}`);
  }
  const parsed = pictureUrls.safeParse(json);
  if (!parsed.success) throw new Refusal(400, `the body: ${complaintOf(parsed.error)}`);
  const addresses = parsed.data.urls;
  if (addresses.length > limits.pictures) {
    throw new Refusal(
      413,
      `${addresses.length} pictures; at most ${limits.pictures} are taken in one request`,
    );
  }
  if (!urls) throw new Refusal(403, "addresses of pictures are not taken");
  const pictures = [];
  let left = limits.bytes;
  for (const address of addresses) {
    const picture = await fetchPicture(address, urls, left, clock.signal);
    body.hold(picture.bytes.length);
    left -= picture.bytes.length;
    pictures.push(picture);
  }
  return { pictures };
}
