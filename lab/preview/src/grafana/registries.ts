import {
  booleanOverrideProcessor,
  dataLinksOverrideProcessor,
  displayNameOverrideProcessor,
  FieldConfigOptionsRegistry,
  FieldType,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
  type Field,
  type FieldConfigPropertyItem,
  type FieldConfigSource,
  type TransformerRegistryItem,
} from '@grafana/data';

type Process = FieldConfigPropertyItem['process'];

const NoEditor = (): null => null;

/** An option of fields that overrides can set; nothing is edited here, so it has no editor. */
function option(id: string, process: Process, more: Partial<FieldConfigPropertyItem> = {}): FieldConfigPropertyItem {
  return { id, path: id, name: id, process, shouldApply: () => true, override: NoEditor, editor: NoEditor, settings: {}, ...more };
}

const STANDARD: Array<[string, Process]> = [
  ['unit', unitOverrideProcessor],
  ['min', numberOverrideProcessor],
  ['max', numberOverrideProcessor],
  ['decimals', numberOverrideProcessor],
  ['displayName', displayNameOverrideProcessor],
  ['noValue', stringOverrideProcessor],
  ['color', identityOverrideProcessor],
  ['thresholds', thresholdsOverrideProcessor],
  ['mappings', valueMappingsOverrideProcessor],
  ['links', dataLinksOverrideProcessor],
  ['actions', identityOverrideProcessor],
  ['fieldMinMax', booleanOverrideProcessor],
  ['filterable', booleanOverrideProcessor],
];

const standardOptions = (): FieldConfigPropertyItem[] => STANDARD.map(([id, process]) => option(id, process));

/** Fills the registries that @grafana/data leaves to the application. */
export function fillRegistries(): void {
  standardFieldConfigEditorRegistry.setInit(standardOptions);
  standardTransformersRegistry.setInit(() => [...new Map(transformers().map((one) => [one.id, one])).values()]);
}

function transformers(): TransformerRegistryItem[] {
  return Object.values(standardTransformers).map((info) => ({
    id: info.id,
    name: info.name,
    // The name that dashboards before Grafana 9 store.
    ...(info.id === 'joinByField' ? { aliasIds: ['seriesToColumns'] } : {}),
    editor: NoEditor,
    transformation: async () => info,
    imageDark: '',
    imageLight: '',
  }));
}

/**
 * The options that a panel's fields can have: applyFieldOverrides ignores `custom.*` ids that aren't registered.
 *
 * @param graph Whether the panel draws over time: its options are for values only, else the label of the y axis
 *   would land on the x axis.
 */
export function optionsRegistry(source: FieldConfigSource, graph: boolean): FieldConfigOptionsRegistry {
  const registry = new FieldConfigOptionsRegistry();
  standardOptions().forEach((item) => registry.register(item));
  const shouldApply = graph
    ? (field: Field): boolean => field.type !== FieldType.time && field.type !== FieldType.string
    : (): boolean => true;
  for (const name of customNames(source)) {
    const item = option(`custom.${name}`, identityOverrideProcessor, { path: name, isCustom: true, shouldApply });
    registry.register(item);
  }
  return registry;
}

function customNames(source: FieldConfigSource): Set<string> {
  const overridden = source.overrides
    .flatMap((rule) => rule.properties)
    .filter((property) => property.id.startsWith('custom.'))
    .map((property) => property.id.slice('custom.'.length));
  return new Set([...Object.keys((source.defaults.custom as object | undefined) ?? {}), ...overridden]);
}
