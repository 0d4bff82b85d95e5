/** Names that are addresses, not paths. */
export const isAddress = (name: string): boolean => /^(?:https?|s3):\/\//i.test(name);
