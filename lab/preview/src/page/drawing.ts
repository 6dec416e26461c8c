import { type TimeRange } from '@grafana/data';

import { uidOf, type Dashboard } from '../model/dashboard';
import { timeRange } from '../model/timeRange';
import { marks, type Mark } from '../prometheus/annotations';
import { PrometheusClient } from '../prometheus/client';
import { type FindSource, type Source } from '../prometheus/panelQueries';
import { rangeVariables } from '../prometheus/steps';
import { Interpolator, textOf, type Variable } from '../variables/interpolate';
import { resolveVariables } from '../variables/resolve';
import { proxyUrl, type DataSource } from './grafanaApi';
import { problem, report } from './report';

const USUAL_SCRAPE = '15s';
const DEFAULT_NAMES = new Set(['', 'default', '-- Grafana --']);

/** Everything that the panels of one drawing share. */
export interface Drawing {
  range: TimeRange;
  variables: Variable[];
  values: Interpolator;
  source: FindSource;
  marks: Mark[];
}

export interface DrawingOptions {
  dashboard: Dashboard;
  sources: DataSource[];
  parameters: URLSearchParams;
  now: number;
  annotations: boolean;
}

/** Resolves time range, variables and annotations; answers of data sources are kept for this drawing only. */
export async function prepare({ dashboard, sources, parameters, now, annotations }: DrawingOptions): Promise<Drawing> {
  const raw = {
    from: parameters.get('from') ?? dashboard.time?.from ?? 'now-6h',
    to: parameters.get('to') ?? dashboard.time?.to ?? 'now',
  };
  const range = timeRange(raw, now);
  const scope = rangeVariables(range, raw);
  const sourceWith = sourceFinder(sources);
  const variables = await resolveVariables(dashboard.templating?.list ?? [], {
    chosen: parameters,
    range,
    scope,
    sources: {
      client: (reference, values) => sourceWith(values)(reference).client,
      datasources: (type) => sources.filter((one) => one.type === type).map((one) => ({ text: one.name, value: one.uid })),
    },
  });
  const values = new Interpolator(variables, scope);
  const source = sourceWith(values);
  report.variables = variables.map((one) => ({
    name: one.name,
    text: textOf(one),
    choices: one.choices.length,
    ...(one.error === undefined ? {} : { error: one.error }),
  }));
  const found = annotations ? await marksOrNone(dashboard, range, values, source) : [];
  report.marks = found.length;
  return { range, variables, values, source, marks: found };
}

async function marksOrNone(dashboard: Dashboard, range: TimeRange, values: Interpolator, source: FindSource): Promise<Mark[]> {
  try {
    return await marks(dashboard.annotations?.list ?? [], range, values, source);
  } catch (error) {
    problem(error);
    return [];
  }
}

/** Finds data sources by uid or name; a reference can be a variable, or nothing: the default. */
function sourceFinder(sources: DataSource[]): (values: Interpolator) => FindSource {
  const known = new Map<string, Source>();
  const open = (found: DataSource): Source => ({
    client: new PrometheusClient(proxyUrl(found)),
    scrape: found.jsonData?.timeInterval || USUAL_SCRAPE,
  });
  return (values) => (reference) => {
    const asked = values.replace(uidOf(reference));
    const found = DEFAULT_NAMES.has(asked)
      ? (sources.find((one) => one.isDefault) ?? sources.find((one) => one.type === 'prometheus'))
      : sources.find((one) => one.uid === asked || one.name === asked);
    if (!found || found.type !== 'prometheus') {
      throw new Error(found ? `data sources of type ${found.type} aren't asked by this preview` : `there is no data source "${asked}"`);
    }
    const source = known.get(found.uid) ?? open(found);
    known.set(found.uid, source);
    return source;
  };
}
