/** In place of the code editor that @grafana/ui can load: nothing here edits code. */
const NoEditor = (): null => null;

export default NoEditor;
export const loader = { config: (): void => undefined, init: async (): Promise<object> => ({}) };
export const languages = {};
export const editor = {};
