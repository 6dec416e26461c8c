/**
 * Walks through the dashboards as a person does, in a real browser, and writes what it saw as JSON.
 *
 *   node walk.mjs CHROMIUM URL USER PASSWORD FROM TO
 *
 * URL is the double's; FROM and TO, in milliseconds, a span of time that its data source has data for.
 */
import { chromium } from 'playwright-core';

import { carry } from './carrier.mjs';

const [executablePath, url, username, password, from, to] = process.argv.slice(2);
const PATIENCE = 60_000;

const browser = await chromium.launch({ executablePath, headless: true, args: ['--no-sandbox', '--disable-gpu'] });
const seen = { errors: [], elsewhere: [] };
try {
  const context = await browser.newContext({ viewport: { width: 1400, height: 1000 } });
  await carry(context, username, password);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on('console', (message) => {
    // The double's list has no icon, which browsers ask for all the same.
    if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico')) {
      seen.errors.push(message.text());
    }
  });
  page.on('pageerror', (error) => seen.errors.push(error.message));
  page.on('request', (request) => request.url().startsWith('http') && !request.url().startsWith(url) && seen.elsewhere.push(request.url()));
  const drawn = () => page.waitForFunction(() => window.__preview?.done);
  const report = () => page.evaluate(() => window.__preview);
  const parameter = (name) => new URL(page.url()).searchParams.getAll(name);

  // An address that somebody was sent: nothing has asked for the password yet.
  await page.goto(`${url}/d/pve-cluster-overview?from=${from}&to=${to}`);
  await drawn();
  seen.banner = await page.getByRole('note').innerText();
  seen.overview = (await report()).panels;

  // A guest's name in the table leads to its detail, and takes time and choice along.
  await page.getByRole('link', { name: 'win-sql01' }).first().click();
  await page.waitForURL('**/d/pve-vm-detail?**');
  await drawn();
  seen.detail = { variables: (await report()).variables, from: parameter('from'), vm: parameter('var-vm'), panels: (await report()).panels };

  // Another guest is chosen.
  await page.getByLabel('Guest', { exact: true }).click();
  await page.getByRole('option', { name: 'lnx-web01' }).click();
  await page.waitForFunction(() => new URLSearchParams(location.search).get('var-vm') === '105');
  await drawn();
  seen.chosen = (await report()).variables;

  // A longer span of time: the step follows.
  await page.getByRole('button', { name: /zoom out/i }).click();
  await page.waitForFunction((before) => new URLSearchParams(location.search).get('from') !== before, from);
  await drawn();
  seen.zoomed = { from: parameter('from'), to: parameter('to'), panels: (await report()).panels };

  // And back, as the browser does it.
  await page.goBack();
  await drawn();
  seen.back = parameter('from');
  seen.problems = (await report()).errors;

  // A row closes and opens.
  const panels = () => page.locator('[data-panel]').count();
  seen.rows = [await panels()];
  await page.getByRole('button', { name: 'Disks' }).click();
  seen.rows.push(await panels());

  // The list leads to every dashboard.
  await page.goto(`${url}/dashboards`);
  seen.listed = await page.getByRole('link', { name: 'Cluster Overview' }).count();
} finally {
  await browser.close();
}
process.stdout.write(JSON.stringify(seen));
