import { getFieldDisplayValues, type FieldDisplay, type ReduceDataOptions } from '@grafana/data';

import { type PanelProps } from './types';

export type ReduceOptions = { reduceOptions: Partial<ReduceDataOptions> };

/** The values that stat, gauge and bar gauge show: one for each field, or one for each row. */
export function fieldValues(
  { frames, options, fieldConfig, values, theme, timeZone }: PanelProps<ReduceOptions>,
  wanted: { sparkline?: boolean; percentChange?: boolean } = {}
): FieldDisplay[] {
  return getFieldDisplayValues({
    data: frames,
    fieldConfig,
    reduceOptions: { values: false, calcs: ['lastNotNull'], fields: '', ...options.reduceOptions },
    replaceVariables: values.replace,
    theme,
    timeZone,
    ...wanted,
  });
}
