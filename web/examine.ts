/** A model looked at before it is converted: what it is, and what its boxes are like. */
import { WorkerLink } from "./link.ts";
import type { ModelFacts, ToldFacts } from "./protocol.ts";

/** Of the one model that its worker holds. */
const id = 1;
const usual = { confidence: 0.25, iou: 0.45 };

export class Examination {
  private link: WorkerLink | undefined;

  /** Throws what the reader says. */
  async look(source: readonly File[], told: ToldFacts): Promise<ModelFacts> {
    this.close();
    const link = new WorkerLink();
    this.link = link;
    await link.call("start", { threads: 1 });
    return link.call("load", { id, source, told });
  }

  /** The picture with the boxes that the model finds in it. */
  async preview(picture: File, { width, height }: ModelFacts): Promise<Blob> {
    const { link } = this;
    if (!link) throw new DOMException("closed", "AbortError");
    const frame = await createImageBitmap(picture);
    const size = Math.max(width, height);
    const request = { model: id, frame, size, rectangle: false, giveBack: false, ...usual };
    const { boxes } = await link.call("detect", request, [frame]);
    return link.call("picture", { type: "image/jpeg", boxes, labels: "free" });
  }

  close(): void {
    this.link?.close();
    this.link = undefined;
  }
}
