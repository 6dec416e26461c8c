import { colorManipulator, FieldColorModeId, formattedValueToString, getValueFormat, type GrafanaTheme2 } from '@grafana/data';
import { AxisPlacement, ScaleDirection, ScaleOrientation, VisibilityMode, type VizLegendOptions } from '@grafana/schema';
import { getTextColorForAlphaBackground, UPlotChart, UPlotConfigBuilder, VizLayout, VizLegend, type VizLegendItem } from '@grafana/ui';
import { useMemo } from 'react';
import type uPlot from 'uplot';

import { lanes, type Lane, type Segment } from './lanes';
import { legendOptions } from './legend';
import { Message } from './Message';
import { type PanelProps } from './types';

type Options = {
  mergeValues: boolean;
  rowHeight: number;
  colWidth: number;
  showValue: VisibilityMode;
  alignValue: CanvasTextAlign;
  legend: Partial<VizLegendOptions>;
};

const FONT_SIZE = 12;
const TEXT_GAP = 4;

export const StateTimelinePanel = (props: PanelProps<Options>) => <TimelinePanel {...props} columns={false} />;
export const StatusHistoryPanel = (props: PanelProps<Options>) => <TimelinePanel {...props} columns />;

/** @grafana/ui has no such panel: lanes are drawn onto a plot with its axes. `columns`: each value by itself. */
function TimelinePanel(props: PanelProps<Options> & { columns: boolean }) {
  const { frames, options, width, height, range, timeZone, theme, columns } = props;
  const rows = useMemo(
    () => lanes(frames, !columns && (options.mergeValues ?? true), range.to.valueOf()),
    [frames, options, range, columns]
  );
  const config = useMemo(() => plotConfig(rows, props), [rows, theme, timeZone]);
  if (rows.length === 0) {
    return <Message>No data</Message>;
  }
  const legend = legendOptions(options.legend);
  const items = legend.showLegend ? legendItems(rows, theme) : [];
  const shown = (
    <VizLayout.Legend placement={legend.placement}>
      <VizLegend items={items} placement={legend.placement} displayMode={legend.displayMode} readonly />
    </VizLayout.Legend>
  );
  return (
    <VizLayout width={width} height={height} legend={items.length > 0 ? shown : null}>
      {(width, height) => (
        <UPlotChart config={config} data={[[range.from.valueOf(), range.to.valueOf()], ...rows.map(() => [null, null])]} width={width} height={height} />
      )}
    </VizLayout>
  );
}

function plotConfig(rows: Lane[], props: PanelProps<Options> & { columns: boolean }): UPlotConfigBuilder {
  const { timeZone, theme, range } = props;
  const builder = new UPlotConfigBuilder(timeZone);
  const horizontal = { orientation: ScaleOrientation.Horizontal, direction: ScaleDirection.Right };
  const vertical = { orientation: ScaleOrientation.Vertical, direction: ScaleDirection.Up };
  builder.addScale({ scaleKey: 'x', isTime: true, ...horizontal, range: () => [range.from.valueOf(), range.to.valueOf()] });
  builder.addScale({ scaleKey: 'y', ...vertical, range: [0, rows.length] });
  builder.addAxis({ scaleKey: 'x', isTime: true, placement: AxisPlacement.Bottom, timeZone, theme, grid: { show: true } });
  builder.addAxis({
    scaleKey: 'y',
    placement: AxisPlacement.Left,
    theme,
    grid: { show: false },
    ticks: { show: false },
    splits: () => rows.map((_, index) => middle(index, rows.length)),
    values: () => rows.map((row) => row.name),
  });
  rows.forEach(() => builder.addSeries({ scaleKey: 'y', theme, show: true, pathBuilder: () => null, pointsBuilder: () => false }));
  builder.addHook('drawAxes', (plot) => rows.forEach((row, index) => drawLane(plot, row, index, rows.length, props)));
  return builder;
}

/** Lanes stand from the top down, the scale goes up. */
const middle = (index: number, count: number): number => count - index - 0.5;

function drawLane(
  plot: uPlot,
  lane: Lane,
  index: number,
  count: number,
  { options, columns, theme }: PanelProps<Options> & { columns: boolean }
): void {
  const { ctx, bbox } = plot;
  const custom = lane.field.config.custom as { fillOpacity?: number; lineWidth?: number };
  const opacity = (custom.fillOpacity ?? 70) / 100;
  const height = (bbox.height / count) * (options.rowHeight ?? 0.9);
  const top = plot.valToPos(middle(index, count), 'y', true) - height / 2;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const segment of lane.segments) {
    const left = plot.valToPos(segment.from, 'x', true);
    const width = (plot.valToPos(segment.to, 'x', true) - left) * (columns ? (options.colWidth ?? 0.9) : 1);
    const box = { left: Math.max(left, bbox.left), top, width: width - Math.max(0, bbox.left - left), height };
    fill(ctx, box, segment, opacity, custom.lineWidth ?? 0);
    write(ctx, box, segment, options, opacity, theme);
  }
  ctx.restore();
}

interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

function fill(ctx: CanvasRenderingContext2D, box: Box, { color }: Segment, opacity: number, line: number): void {
  ctx.fillStyle = filled(color, opacity);
  ctx.fillRect(box.left, box.top, box.width, box.height);
  if (line > 0) {
    ctx.lineWidth = line * window.devicePixelRatio;
    ctx.strokeStyle = color;
    ctx.strokeRect(box.left + line / 2, box.top + line / 2, box.width - line, box.height - line);
  }
}

/** As Grafana does it: the panel's opacity takes the place of the colour's own, but for #rrggbbaa. */
function filled(color: string, opacity: number): string {
  return /^#[0-9a-f]{8}$/i.test(color) ? color : colorManipulator.alpha(color, opacity);
}

function write(
  ctx: CanvasRenderingContext2D,
  box: Box,
  { text, color }: Segment,
  options: Partial<Options>,
  opacity: number,
  theme: GrafanaTheme2
): void {
  const show = options.showValue ?? VisibilityMode.Auto;
  const ratio = window.devicePixelRatio;
  const gap = TEXT_GAP * ratio;
  ctx.font = `${FONT_SIZE * ratio}px ${theme.typography.fontFamily}`;
  const fits = ctx.measureText(text).width + 2 * gap < box.width;
  if (show === VisibilityMode.Never || (show === VisibilityMode.Auto && !fits)) {
    return;
  }
  const background = filled(color, opacity);
  ctx.fillStyle = opacity < 0.5 ? theme.colors.text.primary : getTextColorForAlphaBackground(background, theme.isDark);
  const align = options.alignValue ?? 'left';
  ctx.textAlign = align;
  ctx.textBaseline = 'middle';
  const x = { left: box.left + gap, right: box.left + box.width - gap }[align as 'left' | 'right'];
  ctx.fillText(text, x ?? box.left + box.width / 2, box.top + box.height / 2);
}

/** The states that occur, or, where the colours are those of thresholds alone, the thresholds. */
function legendItems(rows: Lane[], theme: GrafanaTheme2): VizLegendItem[] {
  const { config } = rows[0]!.field;
  const steps = config.thresholds?.steps ?? [];
  const byThreshold = config.color?.mode === FieldColorModeId.Thresholds && !config.mappings?.length && steps.length > 1;
  if (byThreshold) {
    const format = getValueFormat(config.unit ?? 'none');
    const words = (value: number): string => formattedValueToString(format(value, config.decimals));
    return steps.map((step, index) => ({
      label: index === 0 ? `< ${words(steps[1]!.value)}` : `${words(step.value)}+`,
      color: theme.visualization.getColorByName(step.color),
      yAxis: 1,
    }));
  }
  if (config.color?.mode.startsWith('continuous') && !config.mappings?.length) {
    return [];
  }
  const states = new Map(rows.flatMap((row) => row.segments).map((segment) => [segment.text, segment.color]));
  return [...states].map(([label, color]) => ({ label, color, yAxis: 1 }));
}
