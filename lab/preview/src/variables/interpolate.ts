import { getFieldDisplayValuesProxy, type DataContextScopedVar, type ScopedVars } from '@grafana/data';

import { FORMATS, list, type Subject, type Value } from './formats';

/** What stands for all values where a variable includes them. */
export const ALL = '$__all';

export interface Choice {
  text: string;
  value: string;
}

/** A variable with its choices and what is chosen. */
export interface Variable {
  name: string;
  label: string;
  type: string;
  hidden: 'no' | 'label' | 'all';
  multi: boolean;
  includeAll: boolean;
  allValue: string;
  choices: Choice[];
  /** The chosen values; [ALL] where all of them are. */
  chosen: string[];
  /** A value that isn't among the choices, as text boxes and intervals have. */
  free: boolean;
  error?: string;
}

/** Formats one value for a query language; `repeated` tells values that are one of a list from plain ones. */
export type QueryFormat = (value: Value, variable: { repeated: boolean }) => string;

// $name, [[name]] or [[name:format]], ${name}, ${name:format} and ${name.path:format}.
const TOKEN = /\$(\w+)|\[\[(\w+?)(?::([^\]]+))?\]\]|\$\{(\w+)(?:\.([^:}]+))?(?::([^}]+))?\}/g;

/** Puts the values of variables into texts. */
export class Interpolator {
  constructor(
    readonly variables: readonly Variable[],
    /** Values that hold for one panel or query only; they come first. */
    private readonly scope: ScopedVars = {}
  ) {}

  with(scope: ScopedVars): Interpolator {
    return new Interpolator(this.variables, { ...this.scope, ...scope });
  }

  /** In the form in which @grafana/data asks for it; unknown names stay as they are. */
  replace = (text?: string, scope: ScopedVars = {}, format?: string | Function): string => {
    if (!text || !/[$[]/.test(text)) {
      return text ?? '';
    }
    return text.replace(TOKEN, (...found: Array<string | undefined>) => {
      const [token = '', plain, bracketed, bracketFormat, braced, path, braceFormat] = found;
      const name = plain ?? bracketed ?? braced ?? '';
      const own = bracketFormat ?? braceFormat;
      return this.valueOf(name, path, { ...this.scope, ...scope }, own ?? format) ?? token;
    });
  };

  /** For queries: every value in the form that the query language wants, unless the text names another one. */
  replaceInQuery(text: string, format: QueryFormat): string {
    return this.replace(text, {}, format);
  }

  private valueOf(
    name: string,
    path: string | undefined,
    scope: ScopedVars,
    format: string | Function | undefined
  ): string | undefined {
    const ofRow = fromDataContext(name, path, scope);
    if (ofRow !== undefined) {
      return formatted(ofRow, { name, text: ofRow }, format, false);
    }
    const variable = this.variables.find((one) => one.name === name);
    const scoped = scope[name];
    if (scoped) {
      const value = at(scoped.value, path);
      return value === undefined
        ? ''
        : formatted(value, { name, text: String(scoped.text ?? value) }, format, isRepeated(variable));
    }
    return variable && formatVariable(variable, format);
  }
}

const isRepeated = (variable: Variable | undefined): boolean =>
  variable !== undefined && (variable.multi || variable.includeAll);

function formatVariable(variable: Variable, format: string | Function | undefined): string {
  const subject = { name: variable.name, text: textOf(variable) };
  if (variable.chosen[0] === ALL && format === 'queryparam') {
    return formatted([ALL], subject, format, false);
  }
  if (variable.chosen[0] === ALL && variable.allValue && format !== 'text') {
    // Whoever gives a value for all means it literally: it isn't escaped.
    return variable.allValue;
  }
  const value = isRepeated(variable) ? values(variable) : (variable.chosen[0] ?? '');
  return formatted(value, subject, format, isRepeated(variable));
}

/** The chosen values: every choice where all of them are chosen. */
export function values(variable: Variable): string[] {
  return variable.chosen[0] === ALL ? variable.choices.map((choice) => choice.value) : variable.chosen;
}

/** What people read in place of the chosen values. */
export function textOf(variable: Variable): string {
  if (variable.chosen[0] === ALL) {
    return 'All';
  }
  const known = new Map(variable.choices.map((choice) => [choice.value, choice.text]));
  return variable.chosen.map((value) => known.get(value) ?? value).join(' + ');
}

function formatted(value: unknown, subject: Subject, format: string | Function | undefined, repeated: boolean): string {
  const plain: Value = Array.isArray(value) ? value.map(String) : String(value);
  if (typeof format === 'function') {
    return String(format(plain, { repeated }));
  }
  const [name = 'glob', ...parameters] = (format ?? 'glob').split(':');
  const known = FORMATS[name];
  if (!known) {
    throw new Error(`the format "${name}" of the variable ${subject.name} isn't known here`);
  }
  return known(plain, subject, parameters);
}

/** `__data.fields.Name`, `__value.raw` and their like: what a data link knows of the row that it is on. */
function fromDataContext(name: string, path: string | undefined, scope: ScopedVars): string | undefined {
  const context = (scope['__dataContext'] as DataContextScopedVar | undefined)?.value;
  if (!context || !['__data', '__value'].includes(name)) {
    return undefined;
  }
  const { frame, field, rowIndex, calculatedValue } = context;
  if (name === '__data') {
    const [, quoted, bare] = /^fields(?:\["?(.+?)"?\]|\.(.+))$/.exec(path ?? '') ?? [];
    const [column = '', part] = quoted ? [quoted] : (bare ?? '').split('.');
    const shown = getFieldDisplayValuesProxy({ frame, rowIndex: rowIndex ?? 0 })[column] as unknown;
    return shown === undefined ? '' : String(at(shown, part) ?? '');
  }
  const raw = calculatedValue?.numeric ?? field.values[rowIndex ?? 0];
  if (path === 'time') {
    const time = frame.fields.find((one) => one.type === 'time');
    return String(time?.values[rowIndex ?? 0] ?? '');
  }
  const display = calculatedValue ?? field.display?.(raw);
  return path === 'text' ? (display?.text ?? '') : path === 'numeric' ? String(display?.numeric ?? '') : String(raw);
}

/** A member of an object by its path, such as labels.node; the value itself without one. */
function at(value: unknown, path: string | undefined): unknown {
  const steps = (path ?? '').split(/[.[\]"]+/).filter(Boolean);
  return steps.reduce<unknown>((inner, step) => (inner as Record<string, unknown> | undefined)?.[step], value);
}

/** The chosen values of all variables as URL parameters, as dashboard links carry them along. */
export function variableParameters(variables: readonly Variable[]): Array<[string, string]> {
  return variables
    .filter((variable) => variable.type !== 'constant' && variable.type !== 'datasource')
    .flatMap((variable) => list(variable.chosen).map((value): [string, string] => [`var-${variable.name}`, value]));
}
