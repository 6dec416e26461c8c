import { BarGaugePanel } from './BarGaugePanel';
import { GaugePanel } from './GaugePanel';
import { HeatmapPanel } from './HeatmapPanel';
import { StatPanel } from './StatPanel';
import { TablePanel } from './TablePanel';
import { TextPanel } from './TextPanel';
import { StateTimelinePanel, StatusHistoryPanel } from './TimelinePanel';
import { TimeSeriesPanel } from './TimeSeriesPanel';
import { type PanelType } from './types';

/** The types of panel that are drawn; a row is part of the page. */
export const PANEL_TYPES: Record<string, PanelType> = {
  timeseries: { component: TimeSeriesPanel },
  stat: { component: StatPanel, saysNoData: true },
  gauge: { component: GaugePanel, saysNoData: true },
  bargauge: { component: BarGaugePanel, saysNoData: true },
  table: { component: TablePanel },
  text: { component: TextPanel, saysNoData: true },
  'state-timeline': { component: StateTimelinePanel },
  'status-history': { component: StatusHistoryPanel },
  heatmap: {
    component: HeatmapPanel,
    missing: (options) => (options['calculate'] ? 'a heatmap that is calculated from raw series' : undefined),
  },
};
