/** What only one of the two splits may show, so that the held-out accuracy says something about unseen things. */

export type Split = "training" | "held-out";

/**
 * Every row names kinds that the other split never uses. Codes themselves (symbologies, sizes, bending, light) are drawn
 * from the same distribution; pictures differ by seed, and a seed gives different pictures in the two splits.
 */
export const kindsOfSplit = {
  training: {
    backgrounds: ["gradient", "clouds", "wood", "cardboard", "fabric", "paper", "metal", "collage"],
    faces: ["plain", "bold", "wide", "condensed", "smallCaps", "invented A", "invented B"],
    negatives: [
      "text",
      "checkers",
      "stripes",
      "window",
      "keyboard",
      "staff",
      "table",
      "crossword",
      "fence",
      "mosaic",
      "block",
      "ticket",
      "facade",
      "frames",
      "books",
      "slats",
      "zebra",
      "board",
      "sign",
      "dice",
      "holes",
      "plaid",
      "foliage",
      "page",
      "goods",
    ],
    payloads: ["address", "digits", "words", "contact", "network"],
  },
  "held-out": {
    backgrounds: ["brick", "marble", "gravel", "tarpaulin"],
    faces: ["slanted", "dotted", "heavy wide", "invented C"],
    negatives: ["calendar", "piano", "ruler", "shelf", "maze", "column text", "oval"],
    payloads: ["position", "hexadecimal", "mail", "serial"],
  },
} as const;

export type BackgroundKind = (typeof kindsOfSplit)[Split]["backgrounds"][number];
export type Face = (typeof kindsOfSplit)[Split]["faces"][number];
export type NegativeKind = (typeof kindsOfSplit)[Split]["negatives"][number];
export type PayloadKind = (typeof kindsOfSplit)[Split]["payloads"][number];
