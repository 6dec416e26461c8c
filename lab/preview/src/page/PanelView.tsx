import { LoadingState, textUtil, type DataFrame, type GrafanaTheme2 } from '@grafana/data';
import { Icon, PanelChrome, useTheme2 } from '@grafana/ui';
import { useEffect, useMemo, useState } from 'react';

import { configure, type ConfiguredData } from '../grafana/fieldConfig';
import { type Placed } from '../model/grid';
import { PANEL_TYPES } from '../panels';
import { Message } from '../panels/Message';
import { panelData } from '../prometheus/panelQueries';
import { type Interpolator } from '../variables/interpolate';
import { Boundary } from './Boundary';
import { type Drawing } from './drawing';
import { type PanelReport } from './report';

/** Pixels of a panel's frame on both sides together. */
const FRAME = 16;
const WITHOUT_DATA = new Set(['text', 'row']);

interface Props {
  item: Placed;
  drawing: Drawing;
  width: number;
  height: number;
  timeZone: string;
  onZoom: ((range: { from: number; to: number }) => void) | undefined;
  onDone: (report: PanelReport) => void;
}

interface Ready extends ConfiguredData {
  drawing: Drawing;
  errors: string[];
  unsupported: string[];
}

/** One panel: asks its data, then draws it in Grafana's frame. */
export function PanelView({ item, drawing, width, height, timeZone, onZoom, onDone }: Props) {
  const theme = useTheme2();
  const { panel } = item;
  const values = useMemo(() => drawing.values.with(item.scope), [drawing, item]);
  const title = values.replace(panel.title, {}, 'text');
  const [ready, setReady] = useState<Ready>();

  useEffect(() => {
    let current = true;
    void load(item, drawing, values, width - FRAME, theme, timeZone, title).then(([result, note]) => {
      if (current) {
        setReady(result);
        onDone(note);
      }
    });
    return () => {
      current = false;
    };
  }, [item.key, drawing, width, theme]);

  const problems = [...(ready?.errors ?? []), ...(ready?.unsupported ?? [])];
  return (
    <PanelChrome
      title={title}
      width={width}
      height={height}
      {...(panel.description ? { description: () => textUtil.sanitize(values.replace(panel.description)) } : {})}
      displayMode={panel.transparent ? 'transparent' : 'default'}
      hoverHeader={!title}
      loadingState={ready?.drawing === drawing ? LoadingState.Done : LoadingState.Loading}
      {...(problems.length > 0 ? { statusMessage: problems.join('\n') } : {})}
      titleItems={<PanelLinks item={item} values={values} />}
    >
      {(innerWidth, innerHeight) =>
        ready && (
          <Boundary key={String(ready.drawing.range.from.valueOf())}>
            <Content
              item={item}
              ready={ready}
              title={title}
              values={values}
              width={innerWidth}
              height={innerHeight}
              theme={theme}
              timeZone={timeZone}
              onZoom={onZoom}
            />
          </Boundary>
        )
      }
    </PanelChrome>
  );
}

async function load(
  { panel, key }: Placed,
  drawing: Drawing,
  values: Interpolator,
  width: number,
  theme: GrafanaTheme2,
  timeZone: string,
  title: string
): Promise<[Ready, PanelReport]> {
  const errors: string[] = [];
  let data = { frames: [] as DataFrame[], queries: [] as PanelReport['queries'], unsupported: [] as string[] };
  if (!WITHOUT_DATA.has(panel.type)) {
    try {
      data = await panelData(panel, { range: drawing.range, values, source: drawing.source, width });
    } catch (problem) {
      errors.push(problem instanceof Error ? problem.message : String(problem));
    }
  }
  errors.push(...data.queries.flatMap(({ refId, error }) => (error ? [`${refId}: ${error}`] : [])));
  const unsupported = [...data.unsupported, ...missing(panel.type, panel.options ?? {})];
  const configured = configure(panel, data.frames, theme, timeZone, values);
  const note = {
    key,
    id: panel.id,
    type: panel.type,
    title,
    queries: data.queries,
    frames: data.frames.length,
    values: countValues(data.frames),
    errors,
    unsupported,
  };
  return [{ ...configured, drawing, errors, unsupported }, note];
}

function missing(type: string, options: Record<string, unknown>): string[] {
  const known = PANEL_TYPES[type];
  if (!known) {
    return [`panels of type ${type} aren't drawn by this preview`];
  }
  const reason = known.missing?.(options);
  return reason ? [`not drawn by this preview: ${reason}`] : [];
}

function countValues(frames: DataFrame[]): number {
  const counted = frames.flatMap((frame) => frame.fields.filter((field) => field.type !== 'time'));
  return counted.reduce((sum, field) => sum + field.values.filter((value: unknown) => value !== null && value !== undefined).length, 0);
}

interface ContentProps {
  item: Placed;
  ready: Ready;
  title: string;
  values: Interpolator;
  width: number;
  height: number;
  theme: GrafanaTheme2;
  timeZone: string;
  onZoom: Props['onZoom'];
}

function Content({ item: { panel }, ready, ...rest }: ContentProps) {
  const known = PANEL_TYPES[panel.type];
  if (!known || ready.unsupported.some((reason) => reason.startsWith('not drawn'))) {
    return <Message>{ready.unsupported.join('; ')}</Message>;
  }
  if (ready.frames.length === 0 && !known.saysNoData) {
    return <Message>{ready.fieldConfig.defaults.noValue ?? 'No data'}</Message>;
  }
  const Panel = known.component;
  const { range, marks } = ready.drawing;
  return <Panel {...rest} frames={ready.frames} fieldConfig={ready.fieldConfig} options={panel.options ?? {}} range={range} marks={marks} />;
}

function PanelLinks({ item: { panel }, values }: { item: Placed; values: Interpolator }) {
  return (panel.links ?? []).map((link, index) => (
    <a key={index} href={values.replace(link.url)} title={values.replace(link.title)} {...(link.targetBlank ? { target: '_blank' } : {})}>
      <Icon name="external-link-alt" />
    </a>
  ));
}
