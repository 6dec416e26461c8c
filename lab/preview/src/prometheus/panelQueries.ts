import { standardTransformersRegistry, transformDataFrame, type DataFrame, type TimeRange } from '@grafana/data';
import { lastValueFrom } from 'rxjs';

import { uidOf, type DataSourceRef, type Panel, type Target } from '../model/dashboard';
import { type Interpolator } from '../variables/interpolate';
import { type PrometheusClient } from './client';
import { promqlFormat } from './escaping';
import { toFrames } from './frames';
import { alignedEnds, intervalVariables, stepOf, type Step } from './steps';

/** A data source that can be asked. */
export interface Source {
  client: PrometheusClient;
  /** Its scrape interval, like 15s. */
  scrape: string;
}

export type FindSource = (reference: DataSourceRef | undefined) => Source;

export interface Asking {
  range: TimeRange;
  values: Interpolator;
  source: FindSource;
  /** Pixels that the panel has across. */
  width: number;
}

/** How one query went. */
export interface QueryNote {
  refId: string;
  expr: string;
  series: number;
  milliseconds: number;
  error?: string;
}

export interface PanelData {
  frames: DataFrame[];
  queries: QueryNote[];
  /** What can't be done here. */
  unsupported: string[];
}

/** Runs a panel's queries and its transformations. */
export async function panelData(panel: Panel, asking: Asking): Promise<PanelData> {
  const targets = askedTargets(panel);
  const tables = targets.filter((target) => target.format === 'table').length;
  const answers = await Promise.all(targets.map((target) => run(target, panel, tables, asking)));
  const frames = answers.flatMap((answer) => answer.frames);
  const queries = answers.map((answer) => answer.note);
  const unsupported = missingTransformations(panel);
  return { frames: await transformed(frames, panel, asking.values), queries, unsupported };
}

function askedTargets(panel: Panel): Array<Target & { refId: string; expr: string }> {
  return (panel.targets ?? [])
    .map((target, index) => ({ ...target, refId: target.refId ?? String.fromCharCode(65 + index), expr: target.expr ?? '' }))
    .filter((target) => !target.hide && target.expr.trim() !== '');
}

async function run(
  target: Target & { refId: string; expr: string },
  panel: Panel,
  tables: number,
  asking: Asking
): Promise<{ frames: DataFrame[]; note: QueryNote }> {
  const started = performance.now();
  let expr = target.expr;
  const note = (series: number, error?: string): QueryNote => ({
    refId: target.refId,
    expr,
    series,
    milliseconds: Math.round(performance.now() - started),
    ...(error === undefined ? {} : { error }),
  });
  try {
    const { client, scrape } = asking.source(uidOf(target.datasource) ? target.datasource : panel.datasource);
    const step = stepOf({
      range: asking.range,
      points: panel.maxDataPoints || Math.max(1, Math.floor(asking.width)),
      shortest: asking.values.replace(target.interval || panel.interval || ''),
      scrape,
      factor: target.intervalFactor || 1,
    });
    const values = asking.values.with(intervalVariables(step, asking.range));
    expr = values.replaceInQuery(target.expr, promqlFormat);
    const asked = {
      refId: target.refId,
      expr,
      legendFormat: target.legendFormat === '__auto' ? '__auto' : values.replace(target.legendFormat),
      format: target.format ?? 'time_series',
      step: step.step,
      among: tables,
    } as const;
    const answers = await ask(client, target, expr, step, asking.range);
    const frames = answers.flatMap((answer) => toFrames(answer, asked));
    return { frames, note: note(answers.reduce((sum, { result }) => sum + result.length, 0)) };
  } catch (problem) {
    return { frames: [], note: note(0, problem instanceof Error ? problem.message : String(problem)) };
  }
}

async function ask(client: PrometheusClient, target: Target, expr: string, { step }: Step, range: TimeRange) {
  const wantsRange = target.range || !target.instant;
  return Promise.all([
    ...(wantsRange ? [client.range({ query: expr, ...alignedEnds(range, step), step: step / 1000 })] : []),
    ...(target.instant ? [client.instant(expr, range.to.valueOf() / 1000)] : []),
  ]);
}

function missingTransformations(panel: Panel): string[] {
  return (panel.transformations ?? [])
    .filter((one) => !one.disabled && !standardTransformersRegistry.getIfExists(one.id))
    .map((one) => `the transformation "${one.id}" isn't part of @grafana/data: it was left out`);
}

async function transformed(frames: DataFrame[], panel: Panel, values: Interpolator): Promise<DataFrame[]> {
  const known = (panel.transformations ?? []).filter(
    (one) => !one.disabled && standardTransformersRegistry.getIfExists(one.id)
  );
  if (known.length === 0) {
    return frames;
  }
  return lastValueFrom(transformDataFrame(known, frames, { interpolate: (text) => values.replace(text) }));
}
