import { chromium, type Browser } from 'playwright-core';

import { type Job, type Shot } from './job';
import { putTogether } from './pair';
import { shoot } from './shoot';
import { type Answers } from './site';

/** Reads a job from the standard input, takes its pictures, and writes a line of JSON for each of them. */
async function main(): Promise<void> {
  const job = JSON.parse(await readAll()) as Job;
  const browser = await chromium.launch({
    executablePath: job.chromium,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--font-render-hinting=none'],
  });
  try {
    await takeAll(browser, job);
    for (const pair of job.pairs) {
      await putTogether(browser, pair);
    }
  } finally {
    await browser.close();
  }
}

async function takeAll(browser: Browser, job: Job): Promise<void> {
  const waiting = [...job.shots];
  const answers: Answers = new Map();
  const work = async (): Promise<void> => {
    for (let shot: Shot | undefined = waiting.shift(); shot; shot = waiting.shift()) {
      process.stdout.write(`${JSON.stringify(await shoot(browser, job, shot, answers))}\n`);
    }
  };
  await Promise.all(Array.from({ length: job.workers }, work));
}

async function readAll(): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) {
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf-8');
}

main().catch((problem: unknown) => {
  process.stderr.write(`${problem instanceof Error ? problem.message : String(problem)}\n`);
  process.exitCode = 1;
});
