import { fieldColorModeRegistry, FieldColorModeId, FieldType, createTheme, type DataFrame, type Field } from '@grafana/data';
import { describe, expect, it } from 'vitest';

import { alignFrames } from '../src/panels/alignFrames';

const frame = (name: string, times: number[], values: number[], custom: object = {}): DataFrame => ({
  length: times.length,
  fields: [
    { name: 'Time', type: FieldType.time, config: {}, values: times },
    {
      name: 'Value',
      type: FieldType.number,
      config: { custom, color: { mode: FieldColorModeId.PaletteClassicByName } },
      values,
      state: { displayName: name },
    },
  ],
});

const matchers = { x: (field: Field) => field.type === FieldType.time, y: (field: Field) => field.type === FieldType.number };

const values = (frames: DataFrame[]): unknown[][] => alignFrames(frames, matchers)!.fields.map((field) => [...field.values]);

describe('alignFrames', () => {
  it('puts all series on one axis of time', () => {
    const found = values([frame('a', [0, 10], [1, 2]), frame('b', [10, 20], [3, 4])]);
    expect(found).toEqual([[0, 10, 20], [1, 2, undefined], [undefined, 3, 4]]);
  });

  it('keeps the names that colours are made of', () => {
    const frames = [frame('pve1', [0], [1]), frame('pve2', [0], [1])];
    const [, one, other] = alignFrames(frames, matchers)!.fields;
    const theme = createTheme();
    const color = (field: Field): string =>
      fieldColorModeRegistry.get(FieldColorModeId.PaletteClassicByName).getCalculator(field, theme)(0, 0);
    expect([one!.state?.displayName, other!.state?.displayName]).toEqual(['pve1', 'pve2']);
    expect(color(one!)).toBe(color(frames[0]!.fields[1]!));
    expect(color(one!)).not.toBe(color(other!));
  });

  it('draws across gaps up to the length that is asked for', () => {
    const axis = frame('axis', [0, 10, 20, 30, 40, 50, 60], [0, 0, 0, 0, 0, 0, 0]);
    const gaps = { length: 7, fields: [axis.fields[0]!, { ...axis.fields[1]!, values: [1, null, 1, null, null, null, 1] }] };
    const bridged = (spanNulls: unknown): unknown[] => {
      const field = { ...gaps.fields[1]!, config: { custom: { spanNulls } }, values: [...gaps.fields[1]!.values] };
      return values([{ ...gaps, fields: [gaps.fields[0]!, field] }])[1]!;
    };
    expect(bridged(20)).toEqual([1, undefined, 1, null, null, null, 1]);
    expect(bridged(40)).toEqual([1, undefined, 1, undefined, undefined, undefined, 1]);
    expect(bridged(false)).toEqual([1, null, 1, null, null, null, 1]);
  });

  it('leaves room for bars that stand beside each other', () => {
    const bars = { drawStyle: 'bars' };
    const found = values([frame('a', [0, 10], [1, 2], bars), frame('b', [0, 10], [3, 4], bars)]);
    expect(found).toEqual([[0, 10, 20, 30], [1, 2, null, null], [3, 4, null, null]]);
    expect(values([frame('a', [0, 10], [1, 2], bars)])[0]).toEqual([0, 10]);
  });

  it('has nothing to say about nothing', () => {
    expect(alignFrames([], matchers)).toBeNull();
  });
});
