import { FieldType, formattedValueToString, getValueFormat, type DataFrame, type Field, type GrafanaTheme2 } from '@grafana/data';
import { AxisPlacement, ScaleDirection, ScaleOrientation } from '@grafana/schema';
import { UPlotChart, UPlotConfigBuilder, VizLayout } from '@grafana/ui';
import { useMemo } from 'react';
import type uPlot from 'uplot';

import { heatmapColors, type HeatmapColor } from './heatmapColors';
import { Message } from './Message';
import { type PanelProps } from './types';

type Options = {
  calculate: boolean;
  color: Partial<HeatmapColor> & { min?: number; max?: number };
  cellGap: number;
  cellValues: { unit?: string; decimals?: number };
  filterValues: { le?: number };
  yAxis: { unit?: string; decimals?: number; axisLabel?: string; reverse?: boolean };
  legend: { show?: boolean };
};

/** Smaller values than this leave their cell empty, as Grafana's default does. */
const NOTHING = 1e-9;

interface Cells {
  times: number[];
  step: number;
  rows: Field[];
  least: number;
  low: number;
  high: number;
}

/** @grafana/ui has no such panel: cells are drawn onto a plot with its axes. */
export function HeatmapPanel({ frames, options, width, height, range, timeZone, theme }: PanelProps<Options>) {
  const cells = useMemo(() => cellsOf(frames, options), [frames, options]);
  const colors = useMemo(() => heatmapColors(options.color ?? {}, theme), [options, theme]);
  const config = useMemo(
    () => cells && plotConfig(cells, colors, options, [range.from.valueOf(), range.to.valueOf()], timeZone, theme),
    [cells, colors]
  );
  if (!cells || !config) {
    return <Message>No data</Message>;
  }
  const legend = (
    <VizLayout.Legend placement="bottom">
      <Scale cells={cells} colors={colors} options={options} />
    </VizLayout.Legend>
  );
  return (
    <VizLayout width={width} height={height} legend={(options.legend?.show ?? true) ? legend : null}>
      {(width, height) => (
        <UPlotChart config={config} data={[cells.times, ...cells.rows.map((row) => row.values)]} width={width} height={height} />
      )}
    </VizLayout>
  );
}

function cellsOf(frames: DataFrame[], options: Partial<Options>): Cells | undefined {
  const frame = frames.find((one) => one.fields.length > 1);
  const time = frame?.fields.find((field) => field.type === FieldType.time);
  const rows = frame?.fields.filter((field) => field.type === FieldType.number) ?? [];
  if (!time || rows.length === 0) {
    return undefined;
  }
  const least = options.filterValues?.le ?? NOTHING;
  const counted = rows.flatMap((row) => row.values as number[]).filter((value) => value > least && Number.isFinite(value));
  const times = time.values as number[];
  return {
    times,
    step: (time.config.interval ?? (times[1] ?? 0) - (times[0] ?? 0)) || 1,
    rows,
    least,
    low: options.color?.min ?? counted.reduce((low, value) => Math.min(low, value), Infinity),
    high: options.color?.max ?? counted.reduce((high, value) => Math.max(high, value), -Infinity),
  };
}

function plotConfig(
  cells: Cells,
  colors: string[],
  options: Partial<Options>,
  span: [number, number],
  timeZone: string,
  theme: GrafanaTheme2
): UPlotConfigBuilder {
  const builder = new UPlotConfigBuilder(timeZone);
  const labels = cells.rows.map((row) => bound(row, options));
  const direction = options.yAxis?.reverse ? ScaleDirection.Down : ScaleDirection.Up;
  builder.addScale({ scaleKey: 'x', isTime: true, orientation: ScaleOrientation.Horizontal, direction: ScaleDirection.Right, range: () => span });
  builder.addScale({ scaleKey: 'y', orientation: ScaleOrientation.Vertical, direction, range: [0, labels.length] });
  builder.addAxis({ scaleKey: 'x', isTime: true, placement: AxisPlacement.Bottom, timeZone, theme, grid: { show: false } });
  builder.addAxis({
    scaleKey: 'y',
    placement: AxisPlacement.Left,
    theme,
    grid: { show: false },
    splits: () => labels.map((_, index) => index + 1),
    values: () => labels,
    ...(options.yAxis?.axisLabel ? { label: options.yAxis.axisLabel } : {}),
  });
  cells.rows.forEach(() => builder.addSeries({ scaleKey: 'y', theme, show: true, pathBuilder: () => null, pointsBuilder: () => false }));
  builder.addHook('drawAxes', (plot) => drawCells(plot, cells, colors, options.cellGap ?? 1));
  return builder;
}

/** The upper bound of a bucket, in the axis' own unit. */
function bound(row: Field, { yAxis }: Partial<Options>): string {
  const text = row.config.displayNameFromDS ?? row.name;
  const value = Number.parseFloat(text);
  return Number.isFinite(value) ? formattedValueToString(getValueFormat(yAxis?.unit ?? 'short')(value, yAxis?.decimals)) : text;
}

function drawCells(plot: uPlot, { times, step, rows, least, low, high }: Cells, colors: string[], gap: number): void {
  const { ctx, bbox } = plot;
  const space = gap * window.devicePixelRatio;
  const width = plot.valToPos(times[0]! + step, 'x', true) - plot.valToPos(times[0]!, 'x', true);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  rows.forEach((row, number) => {
    const edges = [plot.valToPos(number, 'y', true), plot.valToPos(number + 1, 'y', true)];
    const height = Math.max(1, Math.abs(edges[0]! - edges[1]!) - space);
    row.values.forEach((value: number, index) => {
      if (value > least) {
        const share = (value - low) / (high - low || 1);
        ctx.fillStyle = colors[Math.max(0, Math.min(colors.length - 1, Math.floor(share * colors.length)))]!;
        // A bucket counts what came in the step before its time.
        ctx.fillRect(plot.valToPos(times[index]!, 'x', true) - width, Math.min(...edges), Math.max(1, width - space), height);
      }
    });
  });
  ctx.restore();
}

function Scale({ cells, colors, options }: { cells: Cells; colors: string[]; options: Partial<Options> }) {
  const format = getValueFormat(options.cellValues?.unit ?? 'short');
  const words = (value: number): string => formattedValueToString(format(value, options.cellValues?.decimals));
  return (
    <div style={{ width: 300, maxWidth: '100%', paddingBottom: 8, fontSize: 12 }}>
      <div style={{ height: 10, background: `linear-gradient(90deg, ${colors.join(', ')})` }} />
      <div style={{ display: 'flex', justifyContent: 'space-between' }}>
        <span>{words(cells.low)}</span>
        <span>{words(cells.high)}</span>
      </div>
    </div>
  );
}
