/** Pictures by address. */
import { pictureExtensions } from "./picture.ts";

/** Names that are addresses, not paths. */
export const isAddress = (name: string): boolean => /^(?:https?|s3):\/\//i.test(name);

/** Addresses of pictures, by their extensions; others may be of streams. */
export const isPictureAddress = (name: string): boolean =>
  isAddress(name) && (/^s3:/i.test(name) || pictureExtensions.includes(extensionOf(name)));

const extensionOf = (address: string): string =>
  /\.([a-z0-9]+)(?:[?#].*)?$/i.exec(address)?.[1].toLowerCase() ?? "";
