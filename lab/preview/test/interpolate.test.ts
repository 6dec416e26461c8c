import { describe, expect, it } from 'vitest';

import { promqlFormat } from '../src/prometheus/escaping';
import { ALL, Interpolator, variableParameters, type Variable } from '../src/variables/interpolate';

const variable = (given: Partial<Variable>): Variable => ({
  name: 'node',
  label: 'Host',
  type: 'query',
  hidden: 'no',
  multi: true,
  includeAll: true,
  allValue: '',
  choices: ['pve1', 'pve2'].map((value) => ({ text: value.toUpperCase(), value })),
  chosen: ['pve1', 'pve2'],
  free: false,
  ...given,
});

const both = new Interpolator([variable({})]);

describe('formats', () => {
  it.each([
    ['$node', '{pve1,pve2}'],
    ['[[node]]', '{pve1,pve2}'],
    ['[[node:csv]]', 'pve1,pve2'],
    ['${node:csv}', 'pve1,pve2'],
    ['${node:raw}', 'pve1,pve2'],
    ['${node:pipe}', 'pve1|pve2'],
    ['${node:json}', '["pve1","pve2"]'],
    ['${node:regex}', '(pve1|pve2)'],
    ['${node:glob}', '{pve1,pve2}'],
    ['${node:distributed}', 'pve1,node=pve2'],
    ['${node:lucene}', '("pve1" OR "pve2")'],
    ['${node:doublequote}', '"pve1","pve2"'],
    ['${node:singlequote}', "'pve1','pve2'"],
    ['${node:sqlstring}', "'pve1','pve2'"],
    ['${node:percentencode}', '%7Bpve1%2Cpve2%7D'],
    ['${node:queryparam}', 'var-node=pve1&var-node=pve2'],
    ['${node:text}', 'PVE1 + PVE2'],
    ['$other and $1', '$other and $1'],
  ])('%s becomes %s', (text, expected) => {
    expect(both.replace(text)).toBe(expected);
  });

  it('says which format it does not know', () => {
    expect(() => both.replace('${node:yaml}')).toThrow('the format "yaml" of the variable node');
  });

  it('formats dates', () => {
    const at = new Interpolator([], { __from: { text: '', value: '1768391400000' } });
    expect(at.replace('${__from:date:iso}')).toBe('2026-01-14T11:50:00.000Z');
    expect(at.replace('${__from:date:seconds}')).toBe('1768391400');
    expect(at.replace('$__from')).toBe('1768391400000');
  });
});

describe('all values', () => {
  const all = variable({ chosen: [ALL] });

  it('stands for every choice, or for the value that was given for it', () => {
    expect(new Interpolator([all]).replaceInQuery('{node=~"$node"}', promqlFormat)).toBe('{node=~"(pve1|pve2)"}');
    const given = new Interpolator([{ ...all, allValue: '.*' }]);
    expect(given.replaceInQuery('{node=~"$node"}', promqlFormat)).toBe('{node=~".*"}');
    expect(given.replace('$node', {}, 'text')).toBe('All');
    expect(given.replace('${node:queryparam}')).toBe('var-node=%24__all');
  });

  it('is carried along by links', () => {
    const fixed = variable({ name: 'site', type: 'constant' });
    expect(variableParameters([all, fixed])).toEqual([['var-node', '$__all']]);
  });
});

describe('queries', () => {
  const ask = (given: Partial<Variable>): string =>
    new Interpolator([variable(given)]).replaceInQuery('$node', promqlFormat);

  it('escape a literal', () => {
    expect(ask({ multi: false, includeAll: false, chosen: ['C:\\ "x".y'] })).toBe('C:\\\\ \\"x\\".y');
  });

  it('escape a regular expression inside a literal', () => {
    expect(ask({ chosen: ['a.b'] })).toBe('a\\\\.b');
    expect(ask({ chosen: ['a.b', 'c\\d'] })).toBe('(a\\\\.b|c\\\\\\\\d)');
  });
});

describe('scopes', () => {
  it('come before variables and read members', () => {
    const scoped = both.with({ node: { text: 'one', value: 'pve3' }, __series: { text: '', value: { name: 'up' } } });
    expect(scoped.replace('$node ${__series.name} ${node:text}')).toBe('pve3 up one');
  });

  it('give a data link the row that it is on', () => {
    const field = { name: 'Host', type: 'string', config: {}, values: ['pve1', 'pve2'] };
    const frame = { fields: [field, { ...field, name: 'VMID', values: ['101', '102'] }], length: 2 };
    const context = { __dataContext: { value: { frame, field, rowIndex: 1 } } };
    const link = '/d/x?var-node=${__data.fields.Host}&var-vm=${__data.fields["VMID"]}&v=${__value.raw}';
    expect(both.replace(link, context as never)).toBe('/d/x?var-node=pve2&var-vm=102&v=pve2');
  });
});
