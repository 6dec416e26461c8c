import { dateTime } from '@grafana/data';
import { describe, expect, it } from 'vitest';

import { marksOf } from '../src/prometheus/annotations';
import { type QueryData } from '../src/prometheus/client';
import { toFrames, type Asked } from '../src/prometheus/frames';
import { alignedEnds, intervalVariables, stepOf } from '../src/prometheus/steps';

const range = (hours: number) => {
  const to = 1_768_391_417_000;
  return { from: dateTime(to - hours * 3_600_000), to: dateTime(to), raw: { from: '', to: '' } };
};

describe('steps', () => {
  const usual = { points: 600, shortest: undefined, scrape: '15s', factor: 1 };

  it.each([
    ['fill the width with round steps', { ...usual, range: range(6) }, 30_000],
    ['are not shorter than the scrape interval', { ...usual, range: range(0.1) }, 15_000],
    ['are not shorter than the query asks for', { ...usual, range: range(0.1), shortest: '1m' }, 60_000],
    ['read a minimum that begins with >', { ...usual, range: range(0.1), shortest: '>2m' }, 120_000],
    ['do not take an interval variable for a minimum', { ...usual, range: range(0.1), shortest: '$__interval' }, 15_000],
    ['give at most 11,000 points', { ...usual, range: range(24 * 365), points: 1e9 }, 3_600_000],
    ['are multiplied by the query', { ...usual, range: range(6), factor: 2 }, 60_000],
  ])('%s', (_, options, expected) => {
    expect(stepOf(options).step).toBe(expected);
  });

  it('leave a rate at least four scrapes', () => {
    expect(stepOf({ ...usual, range: range(0.1) }).rate).toBe(60_000);
    expect(stepOf({ ...usual, range: range(24) }).rate).toBe(135_000);
  });

  it('begin and end on multiples of themselves', () => {
    expect(alignedEnds(range(1), 30_000)).toEqual({ start: 1_768_387_800, end: 1_768_391_400 });
  });

  it('are written in words', () => {
    const found = intervalVariables({ step: 500, rate: 60_000 }, range(1));
    const written = Object.fromEntries(Object.entries(found).map(([name, one]) => [name, one?.value as string]));
    expect(written).toMatchObject({ __interval: '500ms', __rate_interval: '60s', __range: '3600s', __range_ms: '3600000' });
  });
});

const MATRIX: QueryData = {
  resultType: 'matrix',
  result: [
    { metric: { __name__: 'up', job: 'b', node: 'pve1' }, values: [[10, '1'], [20, '+Inf']] },
    { metric: { __name__: 'up', job: 'a' }, values: [[10, 'NaN']] },
  ],
};

const asked = (given: Partial<Asked>): Asked => ({
  refId: 'A',
  expr: 'up',
  legendFormat: undefined,
  format: 'time_series',
  step: 10_000,
  among: 0,
  ...given,
});

describe('frames of time series', () => {
  it('are one for each series', () => {
    const [first, second] = toFrames(MATRIX, asked({}));
    expect(first!.fields.map((field) => field.values)).toEqual([[10_000, 20_000], [1, Infinity]]);
    expect(first!.fields[1]!.labels).toEqual({ __name__: 'up', job: 'b', node: 'pve1' });
    expect(second!.fields[1]!.values).toEqual([NaN]);
    expect(first!.fields[0]!.config.interval).toBe(10_000);
  });

  it.each([
    ['{{job}} on {{ node }}', 'b on pve1'],
    [undefined, 'up{job="b", node="pve1"}'],
    // Grafana then makes a name of the labels that differ.
    ['__auto', undefined],
  ])('are named by %s', (legendFormat, expected) => {
    expect(toFrames(MATRIX, asked({ legendFormat }))[0]!.fields[1]!.config.displayNameFromDS).toBe(expected);
  });

  it('are named by the query where nothing else is there', () => {
    const scalar: QueryData = { resultType: 'scalar', result: [10, '4'] };
    expect(toFrames(scalar, asked({ expr: '2+2', legendFormat: '__auto' }))[0]!.name).toBe('2+2');
  });
});

describe('frames of tables', () => {
  it('have a column for every label, and one for the value', () => {
    const [table] = toFrames(MATRIX, asked({ format: 'table' }));
    expect(table!.fields.map(({ name, values }) => [name, values])).toEqual([
      ['Time', [10_000, 20_000, 10_000]],
      ['__name__', ['up', 'up', 'up']],
      ['job', ['b', 'b', 'a']],
      ['node', ['pve1', 'pve1', '']],
      ['Value', [1, Infinity, NaN]],
    ]);
  });

  it('number their values where there are several', () => {
    const names = (data: QueryData): string[] =>
      toFrames(data, asked({ format: 'table', refId: 'B', among: 2 }))[0]!.fields.map(({ name }) => name);
    expect(names(MATRIX).at(-1)).toBe('Value #B');
    expect(names({ resultType: 'vector', result: [] })).toEqual(['Time', 'Value #B']);
  });
});

describe('frames of heatmaps', () => {
  it('sort the buckets and take the lower ones out of the higher', () => {
    const bucket = (le: string, ...counts: string[]) => ({
      metric: { le },
      values: counts.map((count, index): [number, string] => [10 * (index + 1), count]),
    });
    const data: QueryData = { resultType: 'matrix', result: [bucket('+Inf', '9', '9'), bucket('0.5', '2', '3'), bucket('10', '7')] };
    const [frame] = toFrames(data, asked({ format: 'heatmap' }));
    expect(frame!.fields.map(({ name, values }) => [name, values])).toEqual([
      ['Time', [10_000, 20_000]],
      ['0.5', [2, 3]],
      ['10', [5, 0]],
      ['+Inf', [2, 9]],
    ]);
  });
});

describe('annotations', () => {
  it('join neighbours and leave zeros out', () => {
    const values: Array<[number, string]> = [[0, '1'], [60, '1'], [120, '0'], [180, '1'], [600, '1']];
    const data: QueryData = { resultType: 'matrix', result: [{ metric: { alertname: 'Hot', node: 'pve1' }, values }] };
    const marks = marksOf(data, 60_000, { name: 'Alerts', titleFormat: '{{alertname}} {{node}}', iconColor: 'blue' });
    expect(marks.map(({ from, to }) => [from, to])).toEqual([[0, 60_000], [180_000, 180_000], [600_000, 600_000]]);
    expect(marks[0]).toMatchObject({ title: 'Hot pve1', color: 'blue' });
  });
});
