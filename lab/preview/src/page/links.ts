import { type TimeRange } from '@grafana/data';

import { type DashboardLink } from '../model/dashboard';
import { rangeParameters } from '../model/timeRange';
import { variableParameters, type Interpolator } from '../variables/interpolate';
import { type Found } from './grafanaApi';

export interface Link {
  title: string;
  tooltip: string;
  href: string;
  blank: boolean;
}

/** The links above a dashboard, with time and variables where they are to be carried along. */
export function dashboardLinks(
  links: DashboardLink[],
  range: TimeRange,
  values: Interpolator,
  known: Found[],
  own: string
): Link[] {
  return links.flatMap((link): Link[] => {
    const more = parameters(link, range, values);
    const common = { tooltip: values.replace(link.tooltip), blank: link.targetBlank ?? false };
    if (link.type === 'link') {
      return [{ ...common, title: values.replace(link.title), href: withParameters(values.replace(link.url), more) }];
    }
    return known
      .filter((found) => found.uid !== own && (link.tags ?? []).every((tag) => found.tags?.includes(tag)))
      .map((found) => ({ ...common, title: found.title, href: withParameters(found.url, more) }));
  });
}

function parameters(link: DashboardLink, range: TimeRange, values: Interpolator): URLSearchParams {
  const found = new URLSearchParams(link.keepTime ? rangeParameters(range) : {});
  if (link.includeVars) {
    variableParameters(values.variables).forEach(([name, value]) => found.append(name, value));
  }
  return found;
}

function withParameters(url: string, more: URLSearchParams): string {
  return more.size === 0 ? url : `${url}${url.includes('?') ? '&' : '?'}${more}`;
}
