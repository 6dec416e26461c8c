/** The formats that a variable can be asked for in (`${name:csv}`), by their documented behaviour. */

export type Value = string | string[];

/** What a format may need to know beside the value. */
export interface Subject {
  name: string;
  /** What is shown in place of the value. */
  text: string;
}

export type Format = (value: Value, subject: Subject, parameters: string[]) => string;

export const list = (value: Value): string[] => (Array.isArray(value) ? value : [value]);

const joined = (separator: string) => (value: Value): string => list(value).join(separator);
const quoted = (quote: string, escape: (text: string) => string) => (value: Value): string =>
  list(value)
    .map((one) => quote + escape(one) + quote)
    .join(',');

// encodeURIComponent leaves these as they are, though they have a meaning in URLs.
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);

const escapeRegex = (text: string): string => text.replace(/[\\^$*+?.()|[\]{}/-]/g, '\\$&');
const escapeLucene = (text: string): string => text.replace(/([!*+\-=<>\s&|()[\]{}^~?:\\/"])/g, '\\$1');
const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

function regex(value: Value): string {
  const parts = list(value).map(escapeRegex);
  return parts.length === 1 ? parts[0]! : `(${parts.join('|')})`;
}

function glob(value: Value): string {
  const parts = list(value);
  return parts.length > 1 ? `{${parts.join(',')}}` : parts.join('');
}

function distributed(value: Value, { name }: Subject): string {
  return list(value)
    .map((one, index) => (index === 0 ? one : `${name}=${one}`))
    .join(',');
}

function lucene(value: Value): string {
  if (!Array.isArray(value)) {
    return escapeLucene(value);
  }
  return value.length === 0 ? '__empty__' : `(${value.map((one) => `"${escapeLucene(one)}"`).join(' OR ')})`;
}

function date(value: Value, _: Subject, [form = 'iso']: string[]): string {
  const moment = new Date(Number(list(value)[0]));
  if (form === 'seconds') {
    return String(Math.round(moment.getTime() / 1000));
  }
  if (form === 'iso') {
    return moment.toISOString();
  }
  throw new Error(`the date format "${form}" isn't known here: iso and seconds are`);
}

const parameter = (prefix: string) => (value: Value, { name }: Subject): string =>
  list(value)
    .map((one) => `${prefix}${name}=${encode(one)}`)
    .join('&');

export const FORMATS: Record<string, Format> = {
  raw: joined(','),
  csv: joined(','),
  pipe: joined('|'),
  json: (value) => JSON.stringify(value),
  regex,
  glob,
  distributed,
  lucene,
  date,
  doublequote: quoted('"', (text) => text.replace(/"/g, '\\"')),
  singlequote: quoted("'", (text) => text.replace(/'/g, "\\'")),
  sqlstring: quoted("'", (text) => text.replace(/'/g, "''")),
  percentencode: (value) => encode(Array.isArray(value) ? glob(value) : value),
  uriencode: (value) => encodeURI(joined(',')(value)),
  html: (value) => escapeHtml(list(value).join(', ')),
  text: (_, { text }) => text,
  queryparam: parameter('var-'),
  customqueryparam: (value, subject, [name = subject.name, prefix = '']) =>
    parameter(prefix)(value, { ...subject, name }),
};
