import { dateTime } from '@grafana/data';
import { describe, expect, it } from 'vitest';

import { type VariableModel } from '../src/model/dashboard';
import { type PrometheusClient } from '../src/prometheus/client';
import { textOf, type Variable } from '../src/variables/interpolate';
import { applyRegex, sortChoices } from '../src/variables/query';
import { customChoices, resolveVariables } from '../src/variables/resolve';

const RANGE = { from: dateTime(1_000_000), to: dateTime(4_600_000), raw: { from: 'now-1h', to: 'now' } };

const client = {
  labelValues: async (label: string, match?: string) => [`${label} of ${match ?? 'everything'}`],
  labelNames: async () => ['job', 'node'],
  instant: async (query: string) => ({
    resultType: 'vector',
    result: [{ metric: { __name__: query, vm_id: '101', vm_name: 'win "dc"' }, value: [10, '1'] }],
  }),
} as unknown as PrometheusClient;

async function resolve(models: VariableModel[], chosen = ''): Promise<Variable[]> {
  const sources = { client: () => client, datasources: (type: string) => [{ text: `My ${type}`, value: 'uid1' }] };
  return resolveVariables(models, { chosen: new URLSearchParams(chosen), range: RANGE, scope: {}, sources });
}

const values = ({ choices }: Variable): string[] => choices.map((choice) => choice.value);

describe('choices of a variable', () => {
  it('come from labels, and later variables see earlier ones', async () => {
    const models = [
      { name: 'cluster', type: 'query', query: { query: 'label_values(cluster)' } },
      { name: 'node', type: 'query', query: 'label_values(up{cluster="$cluster"}, node)' },
    ];
    const [cluster, node] = await resolve(models);
    expect(values(cluster!)).toEqual(['cluster of everything']);
    expect(values(node!)).toEqual(['node of up{cluster="cluster of everything"}']);
    expect(values((await resolve([{ name: 'l', type: 'query', query: 'label_names()' }]))[0]!)).toEqual(['job', 'node']);
  });

  it('come from the result of a query', async () => {
    const model = { name: 'vm', type: 'query', query: 'query_result(vm_info)', regex: '/vm_id="(?<value>[^"]+)|(?<text>vm_info)/g' };
    const [vm] = await resolve([model]);
    expect(vm!.choices).toEqual([{ value: '101', text: 'vm_info' }]);
  });

  it.each([
    [{ type: 'custom', query: 'one, t\\,wo, three : 3' }, ['one', 't,wo', '3']],
    [{ type: 'interval', query: '1m,5m', auto: true, auto_count: 60 }, ['1m', '1m', '5m']],
    [{ type: 'constant', query: 'fixed' }, ['fixed']],
    [{ type: 'textbox', query: '', current: { value: 'typed' } }, ['typed']],
    [{ type: 'datasource', query: 'prometheus' }, ['uid1']],
    [{ type: 'datasource', query: 'prometheus', regex: '/^Other/' }, []],
  ])('%j has the choices %j', async (model, expected) => {
    const [found] = await resolve([{ name: 'v', ...model }]);
    expect(values(found!)).toEqual(expected);
  });

  it('says what it does not understand', async () => {
    const [adhoc] = await resolve([{ name: 'f', type: 'adhoc' }]);
    expect(adhoc!.error).toContain('adhoc');
    const [strange] = await resolve([{ name: 'f', type: 'query', query: 'strange(x)' }]);
    expect(strange!.error).toContain('strange(x)');
  });
});

describe('what is chosen', () => {
  const custom = { name: 'v', type: 'custom', query: 'a,b : B2', multi: true, includeAll: true };

  it.each([
    ['the address, known or not', custom, 'var-v=B2&var-v=zz', ['B2', 'zz']],
    ['all, if the address says so', custom, 'var-v=All', ['$__all']],
    ['what was stored', { ...custom, current: { value: ['a'] } }, '', ['a']],
    ['not what exists no more', { ...custom, current: { value: 'gone' } }, '', ['$__all']],
    ['the first choice', { ...custom, includeAll: false }, '', ['a']],
    ['one only', { ...custom, multi: false }, 'var-v=a&var-v=B2', ['a']],
    ['a constant, whatever the address says', { name: 'v', type: 'constant', query: 'c' }, 'var-v=x', ['c']],
  ])('%s', async (_, model, address, expected) => {
    const [found] = await resolve([model], address);
    expect(found!.chosen).toEqual(expected);
  });

  it('has the text of its choices', async () => {
    const [found] = await resolve([{ name: 'v', type: 'custom', query: 'One : 1, Two : 2', multi: true }], 'var-v=1&var-v=2');
    expect(textOf(found!)).toBe('One + Two');
  });
});

describe('regular expressions', () => {
  it.each([
    ['/pve(\\d)/', [['1', '1']]],
    ['pve.', [['pve1', 'pve1']]],
    ['ve', []],
    ['/\\w/g', [['pve1', 'pve1']]],
    ['/([a-z])/g', [['p', 'p'], ['v', 'v'], ['e', 'e']]],
    ['/(?<text>pve)/', [['pve', 'pve']]],
    ['/(?<text>p.)|(?<value>\\d)/g', [['pv', '1']]],
  ])('%s', (regex, expected) => {
    expect(applyRegex(['pve1'], regex).map(({ text, value }) => [text, value])).toEqual(expected);
  });

  it('keep each value once', () => {
    expect(applyRegex(['a1', 'a2', 'b1'], '/(.)\\d/').map(({ value }) => value)).toEqual(['a', 'b']);
  });
});

describe('order', () => {
  const sorted = (order: number): string[] => sortChoices(customChoices('b10,A2,a10'), order).map(({ value }) => value);

  it.each([
    [0, ['b10', 'A2', 'a10']],
    [1, ['A2', 'a10', 'b10']],
    [2, ['b10', 'a10', 'A2']],
    [3, ['A2', 'b10', 'a10']],
    [5, ['a10', 'A2', 'b10']],
    [7, ['A2', 'a10', 'b10']],
  ])('%d', (order, expected) => {
    expect(sorted(order)).toEqual(expected);
  });
});
