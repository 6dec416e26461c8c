import { rangeUtil, type TimeRange } from '@grafana/data';

import { type AnnotationModel } from '../model/dashboard';
import { type Interpolator } from '../variables/interpolate';
import { type Labels, type QueryData } from './client';
import { promqlFormat } from './escaping';
import { type FindSource } from './panelQueries';
import { alignedEnds } from './steps';

/** Something that was the case for a while, marked on graphs. Times in milliseconds since 1970. */
export interface Mark {
  from: number;
  to: number;
  title: string;
  text: string;
  color: string;
}

const USUAL_STEP = '60s';
const USUAL_TITLE = '{{alertname}}';
const USUAL_TEXT = '{{instance}}';

/** Asks for a dashboard's annotations: every span of time in which a series is there and isn't zero. */
export async function marks(
  models: AnnotationModel[],
  range: TimeRange,
  values: Interpolator,
  source: FindSource
): Promise<Mark[]> {
  const asked = models.filter((model) => model.enable !== false && !model.builtIn && model.expr);
  const found = await Promise.all(
    asked.map(async (model) => {
      const step = rangeUtil.intervalToMs(values.replace(model.step) || USUAL_STEP);
      const query = values.replaceInQuery(model.expr!, promqlFormat);
      const data = await source(model.datasource).client.range({ query, ...alignedEnds(range, step), step: step / 1000 });
      return marksOf(data, step, model);
    })
  );
  return found.flat();
}

/** Joins points that are no further apart than a step. */
export function marksOf(data: QueryData, step: number, model: AnnotationModel): Mark[] {
  if (data.resultType !== 'matrix') {
    return [];
  }
  return data.result.flatMap(({ metric, values }) => {
    const times = values.filter(([, value]) => Number(value) !== 0).map(([time]) => Math.round(time * 1000));
    const about = {
      title: fill(model.titleFormat || USUAL_TITLE, metric),
      text: fill(model.textFormat || USUAL_TEXT, metric),
      color: model.iconColor ?? 'red',
    };
    return spans(times, step).map((span) => ({ ...span, ...about }));
  });
}

function spans(times: number[], step: number): Array<{ from: number; to: number }> {
  const found: Array<{ from: number; to: number }> = [];
  for (const time of times) {
    const last = found.at(-1);
    if (last && time - last.to <= step) {
      last.to = time;
    } else {
      found.push({ from: time, to: time });
    }
  }
  return found;
}

function fill(template: string, labels: Labels): string {
  return template.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label: string) => labels[label] ?? '');
}
