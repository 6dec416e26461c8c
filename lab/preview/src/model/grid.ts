import { type ScopedVars } from '@grafana/data';

import { type GridPos, type Panel } from './dashboard';

export const COLUMNS = 24;
/** Pixels of one unit of height, and between panels. */
export const CELL_HEIGHT = 30;
export const GAP = 8;
const USUAL_PER_ROW = 4;

/** A panel at its place, once for each value that it is repeated for. */
export interface Placed {
  key: string;
  panel: Panel;
  scope: ScopedVars;
  at: GridPos;
}

/** A choice of a variable that something is repeated for. */
export interface Repetition {
  text: string;
  value: string;
}

export interface LayoutOptions {
  /** The choices of a variable that something is repeated for; undefined: there is no such variable. */
  repeats: (variable: string) => Repetition[] | undefined;
  /** Whether a row shows its panels, whatever the dashboard was stored with. */
  open: (row: Panel, key: string) => boolean;
}

/** A row with its panels, or panels without a row. */
interface Section {
  row: Panel | undefined;
  panels: Panel[];
}

/** Places all panels of a dashboard: rows opened and closed, repeats made, gaps closed upwards. */
export function place(panels: Panel[], options: LayoutOptions): Placed[] {
  const placed: Placed[] = [];
  let below = 0;
  for (const section of sections(panels)) {
    for (const copy of copies(section, options)) {
      const items = placeSection(copy, options, below);
      placed.push(...items);
      below = Math.max(below, ...items.map(bottom));
    }
  }
  return compact(placed);
}

const bottom = ({ at }: Placed): number => at.y + at.h;

function sections(panels: Panel[]): Section[] {
  const found: Section[] = [{ row: undefined, panels: [] }];
  for (const panel of [...panels].sort(byPlace)) {
    if (panel.type === 'row') {
      found.push({ row: panel, panels: [...(panel.panels ?? [])].sort(byPlace) });
      if (panel.collapsed) {
        // A closed row holds its own panels: what follows belongs to no row.
        found.push({ row: undefined, panels: [] });
      }
    } else {
      found.at(-1)!.panels.push(panel);
    }
  }
  return found;
}

const byPlace = (one: Panel, other: Panel): number =>
  one.gridPos.y - other.gridPos.y || one.gridPos.x - other.gridPos.x;

interface Copy extends Section {
  suffix: string;
  scope: ScopedVars;
}

/** A row that is repeated stands once for each value, with all its panels. */
function copies(section: Section, { repeats }: LayoutOptions): Copy[] {
  const variable = section.row?.repeat;
  const choices = variable ? repeats(variable) : undefined;
  if (!variable || !choices) {
    return [{ ...section, suffix: '', scope: {} }];
  }
  return choices.map((choice, index) => ({ ...section, suffix: `-row${index}`, scope: { [variable]: choice } }));
}

function placeSection({ row, panels, suffix, scope }: Copy, options: LayoutOptions, below: number): Placed[] {
  const rowKey = `${row?.id ?? 'row'}${suffix}`;
  const head: Placed[] = row ? [{ key: rowKey, panel: row, scope, at: { x: 0, y: below, w: COLUMNS, h: 1 } }] : [];
  if (row && !options.open(row, rowKey)) {
    return head;
  }
  const top = Math.min(...panels.map((panel) => panel.gridPos.y));
  let shift = below + head.length - (panels.length > 0 ? top : 0);
  const placed: Placed[] = [];
  for (const panel of panels) {
    const items = placePanel(panel, shift, suffix, scope, options);
    placed.push(...items);
    // What a repeated panel takes more than one of it pushes everything below it down.
    shift += Math.max(0, ...items.map((item) => bottom(item) - (panel.gridPos.y + shift + panel.gridPos.h)));
  }
  return [...head, ...placed];
}

function placePanel(
  panel: Panel,
  shift: number,
  suffix: string,
  scope: ScopedVars,
  { repeats }: LayoutOptions
): Placed[] {
  const { x, y, w, h } = panel.gridPos;
  const choices = panel.repeat ? repeats(panel.repeat) : undefined;
  if (!panel.repeat || !choices) {
    return [{ key: `${panel.id}${suffix}`, panel, scope, at: { x, y: y + shift, w, h } }];
  }
  const variable = panel.repeat;
  const sideways = (panel.repeatDirection ?? 'h') === 'h';
  const perRow = sideways ? Math.min(choices.length, panel.maxPerRow ?? USUAL_PER_ROW) : 1;
  const width = sideways ? Math.floor(COLUMNS / perRow) : w;
  return choices.map((choice, index) => ({
    key: `${panel.id}${suffix}-${index}`,
    panel,
    scope: { ...scope, [variable]: choice },
    at: { x: sideways ? (index % perRow) * width : x, y: y + shift + Math.floor(index / perRow) * h, w: width, h },
  }));
}

/** Moves everything up as far as it goes, as the grid of dashboards does. */
function compact(items: Placed[]): Placed[] {
  const settled: Placed[] = [];
  for (const item of [...items].sort((one, other) => one.at.y - other.at.y || one.at.x - other.at.x)) {
    let y = item.at.y;
    const collision = (): Placed | undefined => settled.find((other) => overlap({ ...item.at, y }, other.at));
    while (y > 0 && !settled.some((other) => overlap({ ...item.at, y: y - 1 }, other.at))) {
      y -= 1;
    }
    for (let other = collision(); other; other = collision()) {
      y = bottom(other);
    }
    settled.push({ ...item, at: { ...item.at, y } });
  }
  return settled;
}

const overlap = (one: GridPos, other: GridPos): boolean =>
  one.x < other.x + other.w && one.x + one.w > other.x && one.y < other.y + other.h && one.y + one.h > other.y;

/** Where a panel lies on a page of the given width, in pixels. */
export function pixels(at: GridPos, width: number): { left: number; top: number; width: number; height: number } {
  const column = (width - GAP * (COLUMNS - 1)) / COLUMNS;
  const left = Math.round(at.x * (column + GAP));
  return {
    left,
    top: at.y * (CELL_HEIGHT + GAP),
    width: Math.round((at.x + at.w) * (column + GAP) - GAP) - left,
    height: at.h * (CELL_HEIGHT + GAP) - GAP,
  };
}
