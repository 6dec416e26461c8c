import { dateMath, dateTime, type DateTime, type TimeRange } from '@grafana/data';

const ABSOLUTE = /^\d+$/;

/**
 * Resolves the ends of a time range.
 *
 * @param raw What the URL or the dashboard says: milliseconds since 1970, or relative like now-6h/h.
 * @param now Milliseconds since 1970: fixed in pictures, so that the same data give the same picture.
 */
export function timeRange(raw: { from: string; to: string }, now: number): TimeRange {
  return { from: moment(raw.from, now, false), to: moment(raw.to, now, true), raw };
}

function moment(text: string, now: number, roundUp: boolean): DateTime {
  if (ABSOLUTE.test(text)) {
    return dateTime(Number(text)).utc();
  }
  const found = dateMath.toDateTime(text, { roundUp, now: dateTime(now).utc(), timezone: 'utc' });
  if (!found?.isValid()) {
    throw new Error(`"${text}" is no time: write milliseconds since 1970, or something like now-6h`);
  }
  return found;
}

/** How a range reads in a URL: relative ends stay relative. */
export function rangeParameters(range: TimeRange): { from: string; to: string } {
  const end = (raw: DateTime | string): string => (typeof raw === 'string' ? raw : String(raw.valueOf()));
  return { from: end(range.raw.from), to: end(range.raw.to) };
}
