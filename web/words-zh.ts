/** Chinese. */
export const words: Readonly<Record<string, string>> = {
  Documentation: "文档",
  Source: "源代码",
};
