import { type Value } from '../variables/formats';
import { type QueryFormat } from '../variables/interpolate';

/** A value inside a PromQL string literal that is compared by `=`. */
export function escapeLiteral(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"');
}

/** A value inside a PromQL string literal that is a regular expression: its escapes are escaped once more. */
export function escapeRegex(value: string): string {
  return value.replace(/\\/g, '\\\\\\\\').replace(/"/g, '\\"').replace(/[$^*{}[\]+?.()|]/g, '\\\\$&');
}

/** How the Prometheus data source writes a variable: one that can have several values is a regular expression. */
export const promqlFormat: QueryFormat = (value: Value, { repeated }) => {
  if (!repeated) {
    return Array.isArray(value) ? value.map(escapeLiteral).join(',') : escapeLiteral(value);
  }
  const parts = (Array.isArray(value) ? value : [value]).map(escapeRegex);
  return parts.length === 1 ? parts[0]! : `(${parts.join('|')})`;
};
