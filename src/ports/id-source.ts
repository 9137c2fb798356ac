/** Where ids come from: at least 128 random bits each, nothing readable inside. */
export type IdSource = () => string
