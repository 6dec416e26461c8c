import { rangeUtil, type ScopedVars, type TimeRange } from '@grafana/data';

import { type DataSourceRef, type VariableModel } from '../model/dashboard';
import { type PrometheusClient } from '../prometheus/client';
import { promqlFormat } from '../prometheus/escaping';
import { list } from './formats';
import { ALL, Interpolator, type Choice, type Variable } from './interpolate';
import { applyRegex, askValues, sortChoices } from './query';

/** Where variables come from. */
export interface Sources {
  client: (datasource: DataSourceRef | undefined, values: Interpolator) => PrometheusClient;
  /** Data sources of a type, for variables that choose one. */
  datasources: (type: string) => Choice[];
}

export interface Resolving {
  /** Parameters of the page's address, with var-NAME for what was chosen. */
  chosen: URLSearchParams;
  range: TimeRange;
  scope: ScopedVars;
  sources: Sources;
}

/** Finds choices and values of all variables, in their order: later ones may use earlier ones. */
export async function resolveVariables(models: VariableModel[], resolving: Resolving): Promise<Variable[]> {
  const variables: Variable[] = [];
  for (const model of models) {
    variables.push(await resolve(model, new Interpolator(variables, resolving.scope), resolving));
  }
  return variables;
}

async function resolve(model: VariableModel, before: Interpolator, resolving: Resolving): Promise<Variable> {
  let choices: Choice[] = [];
  let error: string | undefined;
  try {
    choices = await choicesOf(model, before, resolving);
  } catch (problem) {
    error = problem instanceof Error ? problem.message : String(problem);
  }
  const free = ['textbox', 'interval', 'constant', 'adhoc'].includes(model.type);
  const variable: Variable = {
    name: model.name,
    label: model.label || model.name,
    type: model.type,
    hidden: model.hide === 2 ? 'all' : model.hide === 1 ? 'label' : 'no',
    multi: model.multi ?? false,
    includeAll: model.includeAll ?? false,
    allValue: model.allValue ?? '',
    choices,
    chosen: [],
    free,
    ...(error === undefined ? {} : { error }),
  };
  return { ...variable, chosen: chosenOf(variable, model, resolving.chosen) };
}

async function choicesOf(model: VariableModel, before: Interpolator, resolving: Resolving): Promise<Choice[]> {
  const text = before.replace(typeof model.query === 'string' ? model.query : '');
  switch (model.type) {
    case 'query':
      return queryChoices(model, before, resolving);
    case 'custom':
      return customChoices(text);
    case 'interval':
      return intervalChoices(model, text, resolving.range);
    case 'datasource':
      return applyDatasourceRegex(resolving.sources.datasources(text || 'prometheus'), before.replace(model.regex));
    case 'constant':
    case 'textbox': {
      const value = text || list(model.current?.value ?? '')[0] || '';
      return [{ text: value, value }];
    }
    default:
      throw new Error(`variables of type ${model.type} aren't supported by this preview`);
  }
}

async function queryChoices(
  model: VariableModel,
  before: Interpolator,
  { range, sources }: Resolving
): Promise<Choice[]> {
  const query = typeof model.query === 'string' ? model.query : (model.query as { query?: string } | null)?.query;
  const text = before.replaceInQuery(query ?? model.definition ?? '', promqlFormat);
  const span = { start: range.from.unix(), end: range.to.unix() };
  const values = await askValues(text, sources.client(model.datasource, before), span);
  return sortChoices(applyRegex(values, before.replace(model.regex)), model.sort ?? 0);
}

/** `one, two : 2`: a comma between choices, a colon between text and value. */
export function customChoices(text: string): Choice[] {
  return text
    .split(/(?<!\\),/)
    .map((part) => part.trim().replaceAll('\\,', ','))
    .filter(Boolean)
    .map((part) => {
      const [, shown, value] = /^(.+)\s:\s(.+)$/.exec(part) ?? [];
      return shown && value ? { text: shown.trim(), value: value.trim() } : { text: part, value: part };
    });
}

function intervalChoices(model: VariableModel, text: string, range: TimeRange): Choice[] {
  const given = customChoices(text);
  if (!model.auto) {
    return given;
  }
  const { interval } = rangeUtil.calculateInterval(range, model.auto_count ?? 30, model.auto_min);
  return [{ text: 'auto', value: interval }, ...given];
}

function applyDatasourceRegex(choices: Choice[], regex: string): Choice[] {
  const wanted = new Set(applyRegex(choices.map((choice) => choice.text), regex).map((choice) => choice.value));
  return choices.filter((choice) => wanted.has(choice.text));
}

/** What is chosen: the address first, then what the dashboard was stored with, then all or the first choice. */
function chosenOf(variable: Variable, model: VariableModel, parameters: URLSearchParams): string[] {
  const { type, choices, free, includeAll, multi } = variable;
  if (type === 'constant') {
    return choices.map((choice) => choice.value);
  }
  const given = parameters.getAll(`var-${variable.name}`);
  const asked = given.length > 0 ? given : list(model.current?.value ?? []).filter((value) => value !== '');
  if (includeAll && asked.some((value) => value === ALL || value === 'All')) {
    return [ALL];
  }
  // A stored value that exists no more gives way; one in the address is what somebody wants to see.
  const known = given.length > 0 || free ? asked : asked.filter((value) => choices.some((one) => one.value === value));
  if (known.length > 0) {
    return multi ? known : known.slice(0, 1);
  }
  return includeAll ? [ALL] : choices.slice(0, 1).map((choice) => choice.value);
}
