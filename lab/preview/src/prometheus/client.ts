/** What the HTTP API of Prometheus answers. */
export type Labels = Record<string, string>;
export type Sample = [time: number, value: string];

export type QueryData =
  | { resultType: 'matrix'; result: Array<{ metric: Labels; values: Sample[] }> }
  | { resultType: 'vector'; result: Array<{ metric: Labels; value: Sample }> }
  | { resultType: 'scalar' | 'string'; result: Sample };

interface Answer {
  status: 'success' | 'error';
  data?: unknown;
  errorType?: string;
  error?: string;
}

export interface RangeQuery {
  query: string;
  start: number;
  end: number;
  step: number;
}

type Parameters = Record<string, string | number | string[] | undefined>;

/** One data source; the same question within one drawing is asked once. */
export class PrometheusClient {
  private readonly answers = new Map<string, Promise<unknown>>();

  /** @param url Where the API's own paths begin, without a slash at the end. */
  constructor(private readonly url: string) {}

  range(query: RangeQuery): Promise<QueryData> {
    return this.post('/api/v1/query_range', { ...query }) as Promise<QueryData>;
  }

  instant(query: string, time: number): Promise<QueryData> {
    return this.post('/api/v1/query', { query, time }) as Promise<QueryData>;
  }

  /** Values of a label; `match` restricts it to series that a selector matches. */
  labelValues(label: string, match: string | undefined, span: Span): Promise<string[]> {
    return this.get(`/api/v1/label/${encodeURIComponent(label)}/values`, { ...span, 'match[]': match }) as Promise<string[]>;
  }

  labelNames(match: string | undefined, span: Span): Promise<string[]> {
    return this.get('/api/v1/labels', { ...span, 'match[]': match }) as Promise<string[]>;
  }

  private post(path: string, parameters: Parameters): Promise<unknown> {
    const body = form(parameters);
    return this.once(`${path} ${body}`, () => fetch(this.url + path, { method: 'POST', body }));
  }

  private get(path: string, parameters: Parameters): Promise<unknown> {
    const query = form(parameters);
    return this.once(`${path} ${query}`, () => fetch(`${this.url}${path}?${query}`));
  }

  private once(key: string, ask: () => Promise<Response>): Promise<unknown> {
    const known = this.answers.get(key);
    if (known) {
      return known;
    }
    const answer = ask().then(read);
    this.answers.set(key, answer);
    return answer;
  }
}

export interface Span {
  start: number;
  end: number;
}

function form(parameters: Parameters): URLSearchParams {
  const pairs = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one): [string, string] => [name, String(one)])
  );
  return new URLSearchParams(pairs);
}

async function read(response: Response): Promise<unknown> {
  const text = await response.text();
  let answer: Answer;
  try {
    answer = JSON.parse(text) as Answer;
  } catch {
    throw new Error(`HTTP ${response.status}: ${text.slice(0, 200) || 'no answer'}`);
  }
  if (answer.status !== 'success') {
    throw new Error(answer.error ? `${answer.errorType ?? 'error'}: ${answer.error}` : `HTTP ${response.status}: ${text.slice(0, 200)}`);
  }
  return answer.data;
}
