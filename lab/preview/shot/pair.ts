import { readFile } from 'node:fs/promises';

import { type Browser } from 'playwright-core';

import { type Pair } from './job';

const STYLE = `
  body { margin: 0; font: 24px Inter, sans-serif; background: #f4f5f5; color: #24292e; }
  main { display: flex; gap: 16px; padding: 16px; align-items: flex-start; }
  figure { flex: none; margin: 0; min-width: 320px; }
  figcaption { padding: 8px 0; }
  img { display: block; border: 1px solid #c7ccd1; }
`;

/** Puts pictures side by side under their captions. */
export async function putTogether(browser: Browser, { out, sides }: Pair): Promise<void> {
  const figures = await Promise.all(
    sides.map(async ({ caption, path }) => {
      const image = path ? `<img src="data:image/png;base64,${(await readFile(path)).toString('base64')}" />` : '';
      return `<figure><figcaption>${escape(caption)}</figcaption>${image}</figure>`;
    })
  );
  const page = await browser.newPage({ viewport: { width: 800, height: 600 }, deviceScaleFactor: 1 });
  try {
    await page.setContent(`<style>${STYLE}</style><main>${figures.join('')}</main>`);
    const size = await page.evaluate(() => {
      const { scrollWidth: width, scrollHeight: height } = document.querySelector('main')!;
      return { width, height };
    });
    await page.setViewportSize(size);
    await page.screenshot({ path: out });
  } finally {
    await page.close();
  }
}

const escape = (text: string): string => text.replace(/[&<>]/g, (letter) => `&#${letter.charCodeAt(0)};`);
