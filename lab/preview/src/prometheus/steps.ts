import { rangeUtil, type ScopedVars, type TimeRange } from '@grafana/data';

// Prometheus answers at most this many points for a series.
const MOST_POINTS = 11_000;

/** Milliseconds between the points of a query. */
export interface Step {
  step: number;
  /** The span that a rate needs to see at least two scrapes in. */
  rate: number;
}

export interface StepOptions {
  range: TimeRange;
  /** Points that the panel has room for: its width in pixels, or its own maximum. */
  points: number;
  /** The shortest step, like 15s; the query's own, the panel's, or the data source's. */
  shortest: string | undefined;
  /** The data source's scrape interval, like 15s. */
  scrape: string;
  factor: number;
}

/** The documented rules: a round step that fills the width, not shorter than asked for, not more than 11,000. */
export function stepOf({ range, points, shortest, scrape, factor }: StepOptions): Step {
  const lowest = shortest && !shortest.includes('$') ? shortest.replace(/^>/, '') : scrape;
  const wanted = rangeUtil.calculateInterval(range, points, lowest).intervalMs;
  const bearable = rangeUtil.roundInterval((range.to.valueOf() - range.from.valueOf()) / MOST_POINTS);
  const step = Math.max(wanted, bearable) * factor;
  const every = rangeUtil.intervalToMs(scrape);
  return { step, rate: Math.max(step + every, 4 * every) };
}

/** Start and end of a range query in seconds: on multiples of the step, so that a repeated query hits its cache. */
export function alignedEnds(range: TimeRange, step: number): { start: number; end: number } {
  const down = (milliseconds: number): number => (Math.floor(milliseconds / step) * step) / 1000;
  return { start: down(range.from.valueOf()), end: down(range.to.valueOf()) };
}

/** `$__interval` and its like. */
export function intervalVariables({ step, rate }: Step, range: TimeRange): ScopedVars {
  const span = range.to.valueOf() - range.from.valueOf();
  const seconds = Math.max(1, Math.round(span / 1000));
  return scoped({
    __interval: duration(step),
    __interval_ms: String(step),
    __rate_interval: duration(rate),
    __rate_interval_ms: String(rate),
    __range: `${seconds}s`,
    __range_s: String(seconds),
    __range_ms: String(span),
  });
}

/** `$__from` and its like, which hold for the whole dashboard. */
export function rangeVariables(range: TimeRange, raw: { from: string; to: string }): ScopedVars {
  return scoped({
    __from: String(range.from.valueOf()),
    __to: String(range.to.valueOf()),
    __url_time_range: `from=${encodeURIComponent(raw.from)}&to=${encodeURIComponent(raw.to)}`,
    __timezone: 'utc',
  });
}

function scoped(values: Record<string, string>): ScopedVars {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value, text: value }]));
}

function duration(milliseconds: number): string {
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${milliseconds}ms`;
}
