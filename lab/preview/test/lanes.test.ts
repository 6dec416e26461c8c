import { FieldType, type DataFrame } from '@grafana/data';
import { describe, expect, it } from 'vitest';

import { lanes } from '../src/panels/lanes';

const frame = (times: number[], values: Array<number | null>, interval: number): DataFrame => ({
  length: times.length,
  fields: [
    { name: 'Time', type: FieldType.time, config: { interval }, values: times },
    {
      name: 'state',
      type: FieldType.number,
      config: {},
      values,
      display: (value: unknown) => ({ text: value ? 'on' : 'off', numeric: Number(value), color: value ? 'green' : 'red' }),
    },
  ],
});

const spans = (data: DataFrame, merge: boolean): Array<[number, number, string]> =>
  lanes([data], merge, 100)[0]!.segments.map(({ from, to, text }) => [from, to, text]);

describe('lanes', () => {
  it('merge neighbours of the same state', () => {
    expect(spans(frame([0, 10, 20], [1, 1, 0], 10), true)).toEqual([[0, 20, 'on'], [20, 30, 'off']]);
    expect(spans(frame([0, 10], [1, 1], 10), false)).toEqual([[0, 10, 'on'], [10, 20, 'on']]);
  });

  it('say nothing about a pause, nor about what lies behind the end', () => {
    expect(spans(frame([0, 50, 95], [1, 1, 1], 10), true)).toEqual([[0, 10, 'on'], [50, 60, 'on'], [95, 100, 'on']]);
    expect(spans(frame([0, 10, 20], [1, null, 1], 10), true)).toEqual([[0, 10, 'on'], [20, 30, 'on']]);
  });
});
