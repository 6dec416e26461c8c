import { LegendDisplayMode, type VizLegendOptions } from '@grafana/schema';

/** Options of a legend with Grafana's defaults; older dashboards hide it by a display mode of its own. */
export function legendOptions(given: Partial<VizLegendOptions> | undefined): VizLegendOptions {
  const usual: VizLegendOptions = {
    showLegend: true,
    displayMode: LegendDisplayMode.List,
    placement: 'bottom',
    calcs: [],
  };
  return given?.displayMode === LegendDisplayMode.Hidden
    ? { ...usual, ...given, showLegend: false, displayMode: LegendDisplayMode.List }
    : { ...usual, ...given };
}
