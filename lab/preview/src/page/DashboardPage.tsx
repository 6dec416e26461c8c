import { rangeUtil } from '@grafana/data';
import { Alert, useTheme2 } from '@grafana/ui';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';

import { type Dashboard, type Panel } from '../model/dashboard';
import { CELL_HEIGHT, GAP, pixels, place } from '../model/grid';
import { textOf, values as chosenValues } from '../variables/interpolate';
import { type Address } from './address';
import { prepare, type Drawing } from './drawing';
import { type DataSource, type Found } from './grafanaApi';
import { PanelView } from './PanelView';
import { problem, report, type PanelReport } from './report';
import { RowHead } from './RowHead';
import { Toolbar } from './Toolbar';
import { useClientWidth } from './useClientWidth';

const MARGIN = 16;
/** Milliseconds that the last changes of the layout (legends, tables, icons) get before a picture is taken. */
const SETTLE = 400;

interface Props {
  address: Address;
  dashboard: Dashboard;
  sources: DataSource[];
  known: Found[];
  timeZone: string;
}

export function DashboardPage({ address, dashboard, sources, known, timeZone }: Props) {
  const { picture } = address;
  const theme = useTheme2();
  const width = useClientWidth() - 2 * MARGIN;
  const [parameters, change] = useParameters(address);
  const [annotations, setAnnotations] = useState(true);
  const [round, refresh] = useRefresh(picture ? undefined : dashboard.refresh);
  const [drawing, setDrawing] = useState<Drawing>();
  const [failure, setFailure] = useState<string>();
  const [toggled, setToggled] = useState<ReadonlySet<string>>(new Set());

  useEffect(() => {
    let current = true;
    const now = address.now ?? Date.now();
    prepare({ dashboard, sources, parameters, now, annotations })
      .then((made) => current && (setDrawing(made), setFailure(undefined)))
      .catch((error: unknown) => {
        problem(error);
        setFailure(error instanceof Error ? error.message : String(error));
      });
    return () => {
      current = false;
    };
  }, [dashboard, sources, parameters, annotations, round]);

  const isOpen = useCallback(
    (row: Panel, key: string) => picture || (row.collapsed ?? false) === toggled.has(key),
    [picture, toggled]
  );
  const items = useMemo(() => (drawing ? layout(dashboard, drawing, isOpen) : []), [dashboard, drawing, isOpen]);
  const onDone = useDone(drawing, items.filter(({ panel }) => panel.type !== 'row').length);
  const onZoom = useMemo(
    () =>
      picture
        ? undefined
        : (range: { from: number; to: number }) => change({ from: [String(Math.round(range.from))], to: [String(Math.round(range.to))] }),
    [picture, change]
  );

  const toggle = (key: string): void =>
    setToggled((before) => new Set(before.has(key) ? [...before].filter((one) => one !== key) : [...before, key]));
  const height = Math.max(0, ...items.map(({ at }) => at.y + at.h)) * (CELL_HEIGHT + GAP);
  return (
    <main style={{ padding: MARGIN, minHeight: '100vh', boxSizing: 'border-box', background: theme.colors.background.canvas }}>
      {failure && <Alert title="This dashboard can't be drawn">{failure}</Alert>}
      {drawing && (
        <Toolbar
          dashboard={dashboard}
          drawing={drawing}
          known={known}
          timeZone={timeZone}
          annotations={annotations}
          onAnnotations={setAnnotations}
          onChange={change}
          onRefresh={refresh}
        />
      )}
      <div style={{ position: 'relative', height }}>
        {drawing &&
          items.map((item) => {
            const box = pixels(item.at, width);
            return (
              <div key={item.key} data-panel={item.key} style={{ position: 'absolute', ...box }}>
                {item.panel.type === 'row' ? (
                  <RowHead
                    item={item}
                    values={drawing.values}
                    open={isOpen(item.panel, item.key)}
                    onToggle={picture ? undefined : () => toggle(item.key)}
                  />
                ) : (
                  <PanelView
                    item={item}
                    drawing={drawing}
                    width={box.width}
                    height={box.height}
                    timeZone={timeZone}
                    onZoom={onZoom}
                    onDone={onDone}
                  />
                )}
              </div>
            );
          })}
      </div>
    </main>
  );
}

function layout(dashboard: Dashboard, drawing: Drawing, open: (row: Panel, key: string) => boolean) {
  return place(dashboard.panels, {
    open,
    repeats: (name) => {
      const variable = drawing.variables.find((one) => one.name === name);
      return variable && chosenValues(variable).map((value) => ({ value, text: textOf({ ...variable, chosen: [value] }) }));
    },
  });
}

/** Time range and variables live in the page's address, so that it can be passed on. */
function useParameters(address: Address): [URLSearchParams, (changes: Record<string, string[]>) => void] {
  const [parameters, setParameters] = useState(address.parameters);
  useEffect(() => {
    const back = (): void => {
      report.done = false;
      setParameters(new URLSearchParams(window.location.search));
    };
    window.addEventListener('popstate', back);
    return () => window.removeEventListener('popstate', back);
  }, []);
  const change = useCallback((changes: Record<string, string[]>) => {
    const next = new URLSearchParams(window.location.search);
    for (const [name, values] of Object.entries(changes)) {
      next.delete(name);
      values.forEach((value) => next.append(name, value));
    }
    report.done = false;
    window.history.pushState(null, '', `?${next}`);
    setParameters(next);
  }, []);
  return [parameters, change];
}

/** Counts up every time that the dashboard is to be asked again. */
function useRefresh(every: string | false | undefined): [number, () => void] {
  const [round, setRound] = useState(0);
  const refresh = useCallback(() => setRound((before) => before + 1), []);
  useEffect(() => {
    if (!every) {
      return undefined;
    }
    const timer = setInterval(refresh, rangeUtil.intervalToMs(every));
    return () => clearInterval(timer);
  }, [every, refresh]);
  return [round, refresh];
}

/** Tells the report when the last panel of a drawing has been drawn. */
function useDone(drawing: Drawing | undefined, count: number): (note: PanelReport) => void {
  const notes = useRef(new Map<string, PanelReport>());
  const state = useRef({ drawing, count });
  if (state.current.drawing !== drawing) {
    notes.current.clear();
    report.done = false;
  }
  state.current = { drawing, count };
  return useCallback((note: PanelReport) => {
    notes.current.set(note.key, note);
    if (notes.current.size < state.current.count) {
      return;
    }
    report.panels = [...notes.current.values()];
    void document.fonts.ready.then(() =>
      setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => (report.done = true))), SETTLE)
    );
  }, []);
}
