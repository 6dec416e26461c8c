import { formattedValueToString, getFieldDisplayName, getFieldSeriesColor, type DataFrame, type GrafanaTheme2 } from '@grafana/data';
import { SortOrder, TooltipDisplayMode, type VizTooltipOptions } from '@grafana/schema';
import { TooltipPlugin2, VizTooltipContent, VizTooltipHeader, VizTooltipWrapper, type UPlotConfigBuilder } from '@grafana/ui';

// The hover modes of the plugin, which exports them as a type only.
const ONE = 0;
const ALL = 1;

interface Props {
  config: UPlotConfigBuilder;
  frame: DataFrame;
  options: Partial<VizTooltipOptions> | undefined;
  theme: GrafanaTheme2;
  onZoom: ((range: { from: number; to: number }) => void) | undefined;
}

/** The values under the mouse; dragging chooses a span of time. */
export function TimeSeriesTooltip({ config, frame, options, theme, onZoom }: Props) {
  const mode = options?.mode ?? TooltipDisplayMode.Single;
  if (mode === TooltipDisplayMode.None) {
    return null;
  }
  const every = mode === TooltipDisplayMode.Multi;
  return (
    <TooltipPlugin2
      config={config}
      hoverMode={every ? ALL : ONE}
      {...(onZoom ? { queryZoom: onZoom } : {})}
      render={(_, indexes, active) => {
        const rows = valuesAt(frame, indexes, every ? null : active, theme);
        const sorted = sortRows(rows, options?.sort ?? SortOrder.None);
        const at = indexes[0];
        const time = frame.fields[0]!;
        const label = at == null ? '' : formattedValueToString(time.display!(time.values[at]));
        return (
          <VizTooltipWrapper>
            <VizTooltipHeader item={{ label: '', value: label }} />
            <VizTooltipContent items={sorted} />
          </VizTooltipWrapper>
        );
      }}
    />
  );
}

interface Row {
  label: string;
  value: string;
  color: string;
  numeric: number;
}

function valuesAt(frame: DataFrame, indexes: Array<number | null>, only: number | null, theme: GrafanaTheme2): Row[] {
  return frame.fields.flatMap((field, number): Row[] => {
    const index = indexes[number];
    const shown = number > 0 && (only === null || number === only) && !field.config.custom?.hideFrom?.tooltip;
    const value = shown && index != null ? (field.values[index] as number | null) : null;
    if (value === null || value === undefined) {
      return [];
    }
    const label = field.state?.displayName ?? getFieldDisplayName(field, frame);
    const color = getFieldSeriesColor(field, theme).color;
    return [{ label, value: formattedValueToString(field.display!(value)), color, numeric: value }];
  });
}

function sortRows(rows: Row[], order: SortOrder): Row[] {
  const sign = order === SortOrder.Ascending ? 1 : order === SortOrder.Descending ? -1 : 0;
  return [...rows].sort((one, other) => sign * (one.numeric - other.numeric));
}
