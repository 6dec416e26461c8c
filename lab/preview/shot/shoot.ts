import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { type Browser, type Page } from 'playwright-core';
import UPNG from 'upng-js';

import { type Job, type Shot, type ShotResult } from './job';
import { ORIGIN, serve, timed, type Answers } from './site';

const TIMEOUT = 60_000;
// Taller pages than this are cut: a canvas of Chromium has limits.
const MOST_HEIGHT = 16_000;
const FIRST_HEIGHT = 1_000;
/** Milliseconds without any change of the page's height, after which it counts as laid out. */
const CALM = 300;

/** Draws one dashboard and writes its picture. */
export async function shoot(browser: Browser, job: Job, shot: Shot, answers: Answers): Promise<ShotResult> {
  const started = performance.now();
  const complaints = new Set<string>();
  const context = await browser.newContext({
    viewport: { width: shot.width, height: FIRST_HEIGHT },
    deviceScaleFactor: 1,
    timezoneId: 'UTC',
    locale: 'en-US',
    colorScheme: shot.theme,
    reducedMotion: 'reduce',
  });
  try {
    const page = await context.newPage();
    page.on('console', (message) => message.type() === 'error' && complaints.add(message.text().slice(0, 400)));
    page.on('pageerror', (error) => complaints.add(error.message.slice(0, 400)));
    await serve(context, job, shot, answers, (text) => complaints.add(text));
    await page.goto(`${ORIGIN}/d/preview?${parameters(job, shot)}`);
    await page.waitForFunction(() => window.__preview?.done, undefined, { timeout: TIMEOUT });
    await unfold(page, shot.width);
    await mkdir(dirname(shot.out), { recursive: true });
    const picture = await page.screenshot({ fullPage: true, animations: 'disabled', caret: 'hide' });
    await writeFile(shot.out, shot.colors ? withPalette(picture, shot.colors) : picture);
    const report = await timed((await page.evaluate(() => window.__preview))!, answers);
    return { out: shot.out, milliseconds: Math.round(performance.now() - started), report, complaints: [...complaints] };
  } finally {
    await context.close();
  }
}

function parameters({ now }: Job, { theme, parameters = {} }: Shot): URLSearchParams {
  const found = new URLSearchParams({ picture: '', now: String(now), theme });
  for (const [name, value] of Object.entries(parameters)) {
    [value].flat().forEach((one) => found.append(name, one));
  }
  return found;
}

/** The same picture with a palette: less than half the size, for what lies in a repository. */
function withPalette(picture: Buffer, colors: number): Buffer {
  const image = UPNG.decode(new Uint8Array(picture).buffer);
  return Buffer.from(UPNG.encode([UPNG.toRGBA8(image)[0]!], image.width, image.height, colors));
}

/** Makes the window as tall as the page: what lies outside of it would not be drawn. */
async function unfold(page: Page, width: number): Promise<void> {
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width, height: Math.min(MOST_HEIGHT, height) });
  await page.mouse.move(0, 0);
  await page.waitForTimeout(CALM);
  await page.waitForFunction(() => window.__preview?.done, undefined, { timeout: TIMEOUT });
}
