/** Version of the package; a test compares it with package.json. Kept in code so that the browser has it too. */
export const version = "0.1.0";
