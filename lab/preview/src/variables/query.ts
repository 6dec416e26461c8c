import { type PrometheusClient, type Span } from '../prometheus/client';
import { type Choice } from './interpolate';

const LABEL_NAMES = /^label_names\((.*)\)$/s;
const LABEL_VALUES = /^label_values\((?:(.+),)?\s*([a-zA-Z_][\w.]*)\s*\)$/s;
const METRICS = /^metrics\((.+)\)$/s;
const QUERY_RESULT = /^query_result\((.+)\)$/s;

/** Asks Prometheus for the values of a variable; the functions are those of the Prometheus data source. */
export async function askValues(text: string, client: PrometheusClient, span: Span): Promise<string[]> {
  const query = text.trim();
  const names = LABEL_NAMES.exec(query);
  if (names) {
    return client.labelNames(names[1]?.trim() || undefined, span);
  }
  const values = LABEL_VALUES.exec(query);
  if (values) {
    return client.labelValues(values[2]!, values[1]?.trim() || undefined, span);
  }
  const metrics = METRICS.exec(query);
  if (metrics) {
    const pattern = new RegExp(metrics[1]!);
    return (await client.labelValues('__name__', undefined, span)).filter((name) => pattern.test(name));
  }
  const result = QUERY_RESULT.exec(query);
  if (result) {
    return resultLines(result[1]!, client, span.end);
  }
  throw new Error(`"${query}" is none of label_names, label_values, metrics, query_result`);
}

/** Each series as one line, `name{label="value",…} value time`, out of which a regex takes its part. */
async function resultLines(query: string, client: PrometheusClient, time: number): Promise<string[]> {
  const data = await client.instant(query, time);
  if (data.resultType !== 'vector') {
    throw new Error(`query_result wants series, ${query} gives a ${data.resultType}`);
  }
  return data.result.map(({ metric, value: [at, value] }) => {
    const { __name__: name = '', ...labels } = metric;
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
    return `${name}{${pairs.join(',')}} ${value} ${Math.round(at * 1000)}`;
  });
}

/**
 * Takes out of each value what a variable's regex asks for.
 *
 * Groups named `text` and `value` give the two parts of a choice; else the first group gives both. With the
 * flag g, the named groups may lie in different matches, and several matches without names give several choices.
 */
export function applyRegex(values: string[], regex: string | undefined): Choice[] {
  if (!regex) {
    return unique(values.map((value) => ({ text: value, value })));
  }
  const pattern = parseRegex(regex);
  return unique(values.flatMap((value) => choicesOf(value, matchesOf(value, pattern))));
}

function parseRegex(text: string): RegExp {
  const [, body, flags] = /^\/(.*)\/([dgimsuvy]*)$/s.exec(text) ?? [];
  return body === undefined ? new RegExp(`^${text}$`) : new RegExp(body, flags);
}

function matchesOf(value: string, pattern: RegExp): RegExpMatchArray[] {
  if (pattern.global) {
    return [...value.matchAll(pattern)];
  }
  const match = value.match(pattern);
  return match ? [match] : [];
}

function choicesOf(whole: string, matches: RegExpMatchArray[]): Choice[] {
  const text = named(matches, 'text');
  const value = named(matches, 'value');
  if (text !== undefined || value !== undefined) {
    return [{ text: (text ?? value)!, value: (value ?? text)! }];
  }
  if (matches.length === 0) {
    return [];
  }
  const first = matches.filter((match) => match[1] !== undefined).map((match) => match[1]!);
  return (first.length > 0 ? first : [whole]).map((one) => ({ text: one, value: one }));
}

const named = (matches: RegExpMatchArray[], group: string): string | undefined =>
  matches.find((match) => match.groups?.[group])?.groups?.[group];

function unique(choices: Choice[]): Choice[] {
  return [...new Map(choices.map((choice) => [choice.value, choice] as const).reverse()).values()].reverse();
}

type Compare = (one: Choice, other: Choice) => number;

const byText: Compare = (one, other) => (one.text < other.text ? -1 : one.text > other.text ? 1 : 0);
const numberIn = ({ text }: Choice): number => Number(/\d+/.exec(text)?.[0] ?? -1);
const natural = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

// By the numbers that dashboards store: each order, and after it the same one backwards.
const ORDERS: Record<number, Compare> = {
  1: byText,
  3: (one, other) => numberIn(one) - numberIn(other),
  5: (one, other) => byText({ ...one, text: one.text.toLowerCase() }, { ...other, text: other.text.toLowerCase() }),
  7: (one, other) => natural.compare(one.text, other.text),
};

export function sortChoices(choices: Choice[], order: number): Choice[] {
  const backwards = order % 2 === 0;
  const compare = ORDERS[backwards ? order - 1 : order];
  if (!compare) {
    return choices;
  }
  const sorted = [...choices].sort(compare);
  return backwards ? sorted.reverse() : sorted;
}
