import { DataFrameType, FieldType, type DataFrame, type Field } from '@grafana/data';

import { type Labels, type QueryData, type Sample } from './client';

/** A query whose answer becomes frames. */
export interface Asked {
  refId: string;
  expr: string;
  legendFormat: string | undefined;
  format: 'time_series' | 'table' | 'heatmap';
  /** Milliseconds between points. */
  step: number;
  /** Whether other queries of the panel give tables too: then the columns of values are numbered. */
  among: number;
}

interface Series {
  labels: Labels;
  times: number[];
  values: number[];
}

/** Turns an answer of Prometheus into the frames that Grafana's panels draw. */
export function toFrames(data: QueryData, asked: Asked): DataFrame[] {
  const series = seriesOf(data);
  if (asked.format === 'table') {
    return [tableFrame(series, asked)];
  }
  if (asked.format === 'heatmap') {
    return heatmapFrames(series, asked);
  }
  return series.map((one) => timeSeriesFrame(one, asked));
}

function seriesOf(data: QueryData): Series[] {
  switch (data.resultType) {
    case 'matrix':
      return data.result.map(({ metric, values }) => toSeries(metric, values));
    case 'vector':
      return data.result.map(({ metric, value }) => toSeries(metric, [value]));
    default:
      return [toSeries({}, [data.result])];
  }
}

function toSeries(labels: Labels, samples: Sample[]): Series {
  return {
    labels,
    times: samples.map(([time]) => Math.round(time * 1000)),
    values: samples.map(([, value]) => toNumber(value)),
  };
}

export function toNumber(text: string): number {
  return text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number.parseFloat(text);
}

function timeSeriesFrame({ labels, times, values }: Series, asked: Asked): DataFrame {
  const name = legend(labels, asked);
  const config = name ? { displayNameFromDS: name } : {};
  return {
    refId: asked.refId,
    ...(name ? { name } : {}),
    length: times.length,
    meta: { type: DataFrameType.TimeSeriesMulti, executedQueryString: asked.expr },
    fields: [timeField(times, asked.step), { name: labels['__name__'] ?? 'Value', type: FieldType.number, labels, config, values }],
  };
}

function timeField(times: number[], step: number): Field {
  return { name: 'Time', type: FieldType.time, config: { interval: step }, values: times };
}

/** The name of a series; empty where Grafana is to make one of the labels that differ. */
function legend(labels: Labels, { legendFormat, expr }: Asked): string {
  if (legendFormat === '__auto') {
    return Object.keys(labels).length > 0 ? '' : expr;
  }
  if (legendFormat) {
    return legendFormat.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label: string) => labels[label] ?? '');
  }
  const { __name__: name = '', ...rest } = labels;
  const pairs = Object.keys(rest).sort().map((label) => `${label}="${rest[label]}"`);
  return name || pairs.length > 0 ? `${name}{${pairs.join(', ')}}` : expr;
}

/** One table of all series: time, every label that any of them has, the value. */
function tableFrame(series: Series[], asked: Asked): DataFrame {
  const names = [...new Set(series.flatMap((one) => Object.keys(one.labels)))].sort();
  const repeated = (of: (one: Series) => string): string[] => series.flatMap((one) => one.times.map(() => of(one)));
  const times = series.flatMap((one) => one.times);
  const columns = names.map((name): Field => ({
    name,
    type: FieldType.string,
    config: { filterable: true },
    values: repeated((one) => one.labels[name] ?? ''),
  }));
  const value: Field = {
    name: asked.among > 1 ? `Value #${asked.refId}` : 'Value',
    type: FieldType.number,
    config: {},
    values: series.flatMap((one) => one.values),
  };
  return {
    refId: asked.refId,
    length: times.length,
    meta: { executedQueryString: asked.expr, preferredVisualisationType: 'table' },
    fields: [{ name: 'Time', type: FieldType.time, config: {}, values: times }, ...columns, value],
  };
}

/** Rows of a heatmap: buckets by their upper bound, each without what lies in the ones below it. */
function heatmapFrames(series: Series[], asked: Asked): DataFrame[] {
  const buckets = series
    .filter((one) => one.labels['le'] !== undefined)
    .sort((one, other) => toNumber(one.labels['le']!) - toNumber(other.labels['le']!));
  if (buckets.length === 0) {
    return [];
  }
  const times = [...new Set(buckets.flatMap((bucket) => bucket.times))].sort((one, other) => one - other);
  const rows = buckets.map((bucket) => {
    const known = new Map(bucket.times.map((time, index) => [time, bucket.values[index]!]));
    return times.map((time) => known.get(time) ?? 0);
  });
  const fields = buckets.map((bucket, index): Field => ({
    name: bucket.labels['le']!,
    type: FieldType.number,
    labels: bucket.labels,
    config: { displayNameFromDS: bucket.labels['le']! },
    values: rows[index]!.map((value, at) => (index === 0 ? value : Math.max(0, value - rows[index - 1]![at]!))),
  }));
  return [
    {
      refId: asked.refId,
      length: times.length,
      meta: { type: DataFrameType.HeatmapRows, executedQueryString: asked.expr },
      fields: [timeField(times, asked.step), ...fields],
    },
  ];
}
