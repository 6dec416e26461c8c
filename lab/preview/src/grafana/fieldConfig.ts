import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  FieldColorModeId,
  ThresholdsMode,
  type DataFrame,
  type FieldConfig,
  type FieldConfigSource,
  type GrafanaTheme2,
} from '@grafana/data';

import { type Panel } from '../model/dashboard';
import { type Interpolator } from '../variables/interpolate';
import { optionsRegistry } from './registries';

const NOT_HIDDEN = { tooltip: false, viz: false, legend: false };

/** What each type of panel takes for fields where the dashboard says nothing. */
const CUSTOM: Record<string, object> = {
  timeseries: {
    drawStyle: 'line',
    lineInterpolation: 'linear',
    lineWidth: 1,
    fillOpacity: 0,
    gradientMode: 'none',
    barAlignment: 0,
    barWidthFactor: 0.6,
    showPoints: 'auto',
    pointSize: 5,
    spanNulls: false,
    insertNulls: false,
    stacking: { mode: 'none', group: 'A' },
    axisPlacement: 'auto',
    axisLabel: '',
    axisColorMode: 'text',
    axisBorderShow: false,
    axisCenteredZero: false,
    scaleDistribution: { type: 'linear' },
    thresholdsStyle: { mode: 'off' },
    hideFrom: NOT_HIDDEN,
  },
  table: { align: 'auto', inspect: false, cellOptions: { type: 'auto' }, footer: { reducers: [] } },
  'state-timeline': { lineWidth: 0, fillOpacity: 70, hideFrom: NOT_HIDDEN },
  'status-history': { lineWidth: 1, fillOpacity: 70, hideFrom: NOT_HIDDEN },
  heatmap: { hideFrom: NOT_HIDDEN, scaleDistribution: { type: 'linear' } },
};

const COLOR: Record<string, FieldColorModeId> = {
  timeseries: FieldColorModeId.PaletteClassic,
  'state-timeline': FieldColorModeId.ContinuousGrYlRd,
};

const THRESHOLDS = {
  mode: ThresholdsMode.Absolute,
  steps: [
    { value: -Infinity, color: 'green' },
    { value: 80, color: 'red' },
  ],
};

const OVER_TIME = new Set(['timeseries', 'state-timeline', 'status-history', 'heatmap']);

/** Data with units, colours, mappings, links and overrides applied. */
export interface ConfiguredData {
  frames: DataFrame[];
  fieldConfig: FieldConfigSource;
}

export function configure(
  panel: Panel,
  frames: DataFrame[],
  theme: GrafanaTheme2,
  timeZone: string,
  values: Interpolator
): ConfiguredData {
  const fieldConfig = withDefaults(panel);
  const data = applyFieldOverrides({
    data: frames,
    fieldConfig,
    fieldConfigRegistry: optionsRegistry(fieldConfig, OVER_TIME.has(panel.type)),
    replaceVariables: values.replace,
    theme,
    timeZone,
  });
  // The table reads the names that are kept on fields, which the overrides have just thrown away.
  cacheFieldDisplayNames(data);
  return { frames: data, fieldConfig };
}

function withDefaults({ type, fieldConfig }: Panel): FieldConfigSource {
  // applyFieldOverrides writes into what it is given; the dashboard stays as it is.
  const own = structuredClone(fieldConfig ?? { defaults: {}, overrides: [] });
  const defaults: FieldConfig = {
    mappings: [],
    thresholds: THRESHOLDS,
    color: { mode: COLOR[type] ?? FieldColorModeId.Thresholds },
    ...own.defaults,
    custom: { ...CUSTOM[type], ...(own.defaults?.custom as object | undefined) },
  };
  return { defaults, overrides: own.overrides ?? [] };
}
