// The Chromium of this machine, for tests of what runs in a browser.
import { existsSync } from 'node:fs';
import type { Browser } from 'puppeteer-core';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', process.env.CHROMIUM ?? ''];

/** undefined where none is here. */
export const chromium = places.find((path) => path !== '' && existsSync(path));

export const NO_CHROMIUM = chromium === undefined && 'no Chromium is here: install chromium, or name it by CHROMIUM';

export async function openChromium(args: readonly string[] = []): Promise<Browser> {
  const { default: puppeteer } = await import('puppeteer-core');
  return puppeteer.launch({ executablePath: chromium!, args: ['--no-sandbox', ...args] });
}
