/** Whose pre-processing a model has: the choice for files that do not say. */
import { describeFamily, type FamilyName, familyNames } from "../src/steps.ts";
import { make } from "./dom.ts";

/** Adds all families behind "as its file says". */
export function offerFamilies(select: HTMLSelectElement): void {
  select.append(...familyNames.map((name) => make("option", { value: name }, describeFamily(name))));
}

export const chosenFamily = ({ value }: HTMLSelectElement): FamilyName | undefined =>
  familyNames.find((name) => name === value);
