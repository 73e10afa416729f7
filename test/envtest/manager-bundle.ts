// SPDX-License-Identifier: Apache-2.0
// Our manager as an image holds it: one file, which starts in a fifth of the time. For stories that start many.
import { parseScrape, type Scrape } from '../../bench/scrape.ts';
import { runProgram } from '../../hack/stack/process.ts';
import type { Provider } from '../../hack/stack/provider.ts';

/** Makes the bundle in `dir` and gives its file name, which `startProvider` takes as `main`. */
export async function bundleManager(dir: string): Promise<string> {
  const out = `${dir}/manager.mjs`;
  const script = new URL('../../hack/bundle.ts', import.meta.url).pathname;
  await runProgram(process.execPath, [script, '--out', out]);
  return out;
}

/** What a manager counts at this moment. */
export async function scrape({ metricsURL }: Provider): Promise<Scrape> {
  return parseScrape(await (await fetch(`${metricsURL}/metrics`)).text());
}
