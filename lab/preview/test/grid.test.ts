import { describe, expect, it } from 'vitest';

import { type Panel } from '../src/model/dashboard';
import { pixels, place, type LayoutOptions, type Placed } from '../src/model/grid';

const panel = (id: number, [x, y, w, h]: [number, number, number, number], more: Partial<Panel> = {}): Panel => ({
  id,
  type: 'stat',
  gridPos: { x, y, w, h },
  ...more,
});

const row = (id: number, y: number, more: Partial<Panel> = {}): Panel => panel(id, [0, y, 24, 1], { type: 'row', ...more });

const nodes = ['a', 'b', 'c'].map((value) => ({ text: value, value }));
const options: LayoutOptions = { repeats: (name) => (name === 'node' ? nodes : undefined), open: (one) => !one.collapsed };

const places = (placed: Placed[]): Array<[string, number, number, number, number]> =>
  placed.map(({ key, at: { x, y, w, h } }) => [key, x, y, w, h]);

describe('place', () => {
  it('closes gaps upwards', () => {
    const placed = place([panel(1, [0, 5, 12, 4]), panel(2, [12, 7, 12, 4]), panel(3, [0, 30, 24, 2])], options);
    expect(places(placed)).toEqual([['1', 0, 0, 12, 4], ['2', 12, 0, 12, 4], ['3', 0, 4, 24, 2]]);
  });

  it('repeats a panel sideways, four to a row unless told otherwise', () => {
    const repeated = panel(1, [0, 0, 24, 3], { repeat: 'node', maxPerRow: 2 });
    expect(places(place([repeated, panel(2, [0, 3, 24, 2])], options))).toEqual([
      ['1-0', 0, 0, 12, 3],
      ['1-1', 12, 0, 12, 3],
      ['1-2', 0, 3, 12, 3],
      ['2', 0, 6, 24, 2],
    ]);
  });

  it('repeats a panel downwards', () => {
    const repeated = panel(1, [6, 0, 6, 3], { repeat: 'node', repeatDirection: 'v' });
    expect(places(place([repeated], options))).toEqual([['1-0', 6, 0, 6, 3], ['1-1', 6, 3, 6, 3], ['1-2', 6, 6, 6, 3]]);
  });

  it('leaves a panel alone whose variable does not exist', () => {
    expect(places(place([panel(1, [0, 0, 4, 3], { repeat: 'none' })], options))).toEqual([['1', 0, 0, 4, 3]]);
  });

  it('shows the panels of an open row, and only the heading of a closed one', () => {
    const closed = row(2, 4, { collapsed: true, panels: [panel(3, [0, 5, 24, 8])] });
    const panels = [row(1, 0), panel(4, [0, 1, 24, 3]), closed, row(5, 6), panel(6, [0, 7, 24, 2])];
    expect(places(place(panels, options)).map(([key, , y]) => [key, y])).toEqual([
      ['1', 0],
      ['4', 1],
      ['2', 4],
      ['5', 5],
      ['6', 6],
    ]);
    const opened = place(panels, { ...options, open: () => true });
    expect(places(opened).find(([key]) => key === '3')).toEqual(['3', 0, 5, 24, 8]);
    expect(places(opened).at(-1)).toEqual(['6', 0, 14, 24, 2]);
  });

  it('leaves what follows a closed row out of its repeats', () => {
    const closed = row(1, 0, { collapsed: true, repeat: 'node', panels: [panel(2, [0, 1, 24, 3])] });
    const opened = place([closed, panel(3, [0, 1, 24, 2])], { ...options, open: () => true });
    expect(places(opened).map(([key]) => key)).toEqual(['1-row0', '2-row0', '1-row1', '2-row1', '1-row2', '2-row2', '3']);
    expect(places(place([closed, panel(3, [0, 1, 24, 2])], options)).at(-1)).toEqual(['3', 0, 3, 24, 2]);
  });

  it('repeats a row with its panels, each with its own choice', () => {
    const placed = place([row(1, 0, { repeat: 'node' }), panel(2, [0, 1, 24, 3])], options);
    expect(places(placed).map(([key, , y]) => [key, y])).toEqual([
      ['1-row0', 0],
      ['2-row0', 1],
      ['1-row1', 4],
      ['2-row1', 5],
      ['1-row2', 8],
      ['2-row2', 9],
    ]);
    expect(placed.map(({ scope }) => scope['node']?.value as string)).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
  });
});

describe('pixels', () => {
  it('end where the page ends', () => {
    const last = pixels({ x: 21, y: 2, w: 3, h: 4 }, 1248);
    expect(last.left + last.width).toBe(1248);
    expect([last.top, last.height]).toEqual([76, 144]);
  });
});
