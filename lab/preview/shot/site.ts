import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';

import { type BrowserContext, type Request, type Route } from 'playwright-core';

import { type PageReport } from '../src/page/report';
import { type Job, type Shot } from './job';

/** The page's address; nothing listens there: every request is answered below. */
export const ORIGIN = 'http://preview.invalid';

const BASE = '/public/preview/';
const PROXY = '/api/datasources/proxy/uid/';

const TYPES: Record<string, string> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

interface Reply {
  status: number;
  contentType: string;
  body: string | Buffer;
}

/** An answer of Prometheus, and how long it took. */
interface Answer {
  reply: Reply;
  query: string;
  milliseconds: number;
}

/** Answers of Prometheus: the pictures of a dashboard ask for the same things. */
export type Answers = Map<string, Promise<Answer>>;

/**
 * Plays the page's server for one shot: its files, Grafana's API, and the data source.
 *
 * Routing inside the browser needs no port, and Chromium refuses pages a direct way to loopback.
 */
export async function serve(context: BrowserContext, job: Job, shot: Shot, answers: Answers, complain: (text: string) => void): Promise<void> {
  await context.route('**/*', async (route: Route) => {
    const url = new URL(route.request().url());
    if (url.protocol === 'data:' || url.protocol === 'blob:') {
      return route.continue();
    }
    if (url.origin !== ORIGIN) {
      complain(`the page asked for ${url.href}`);
      return route.abort();
    }
    const reply = await answer(url, route.request(), job, shot, answers);
    if (reply.status >= 400 && !url.pathname.startsWith(PROXY)) {
      complain(`${reply.status} ${url.pathname}`);
    }
    return route.fulfill(reply);
  });
}

async function answer(url: URL, request: Request, job: Job, shot: Shot, answers: Answers): Promise<Reply> {
  if (url.pathname.startsWith(PROXY)) {
    const key = `${url.pathname}${url.search} ${request.postData() ?? ''}`;
    const known = answers.get(key) ?? ask(url, request, job);
    answers.set(key, known);
    return (await known).reply;
  }
  if (url.pathname.startsWith('/api/dashboards/uid/')) {
    return json({ dashboard: JSON.parse(await readFile(shot.dashboard, 'utf-8')) as unknown });
  }
  if (url.pathname === '/api/datasources') {
    return json([
      { uid: 'prometheus', name: 'Prometheus', type: 'prometheus', isDefault: true, jsonData: { timeInterval: job.scrape } },
    ]);
  }
  return file(url.pathname.startsWith('/d/') ? 'index.html' : url.pathname.slice(BASE.length), job.page);
}

const json = (body: unknown): Reply => ({ status: 200, contentType: 'application/json', body: JSON.stringify(body) });

async function ask(url: URL, request: Request, { prometheus }: Job): Promise<Answer> {
  const path = url.pathname.slice(PROXY.length).split('/').slice(1).join('/');
  const body = request.postData();
  const query = new URLSearchParams(body ?? url.search).get('query') ?? '';
  const started = performance.now();
  const took = (): number => Math.round(performance.now() - started);
  try {
    const response = await fetch(`${prometheus}/${path}${url.search}`, {
      method: request.method(),
      ...(body ? { body, headers: { 'content-type': 'application/x-www-form-urlencoded' } } : {}),
    });
    const content = Buffer.from(await response.arrayBuffer());
    return { reply: { status: response.status, contentType: 'application/json', body: content }, query, milliseconds: took() };
  } catch (problem) {
    const error = `no answer from ${prometheus}: ${problem instanceof Error ? problem.message : String(problem)}`;
    const reply = { ...json({ status: 'error', errorType: 'unavailable', error }), status: 502 };
    return { reply, query, milliseconds: took() };
  }
}

/** Replaces the times that the page measured, with its waiting in the browser, by those of the data source. */
export async function timed(report: PageReport, answers: Answers): Promise<PageReport> {
  const times = new Map<string, number>();
  for (const { query, milliseconds } of await Promise.all(answers.values())) {
    times.set(query, Math.max(milliseconds, times.get(query) ?? 0));
  }
  for (const query of report.panels.flatMap((panel) => panel.queries)) {
    query.milliseconds = times.get(query.expr) ?? query.milliseconds;
  }
  return report;
}

async function file(name: string, folder: string): Promise<Reply> {
  const path = join(folder, normalize(`/${name}`));
  try {
    return { status: 200, contentType: TYPES[extname(path)] ?? 'application/octet-stream', body: await readFile(path) };
  } catch {
    return { status: 404, contentType: 'text/plain', body: `no ${name}` };
  }
}
