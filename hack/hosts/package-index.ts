// SPDX-License-Identifier: Apache-2.0
// Makes a folder of .deb files a repository that apt takes, without the tools that Debian has for it.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../stack/process.ts';

/** Writes `<dir>/Packages`. For a line `deb [trusted=yes] file:DIR ./` in sources.list. */
export async function writePackageIndex(dir: string): Promise<void> {
  const stanzas: string[] = [];
  for (const name of readdirSync(dir).filter((file) => file.endsWith('.deb'))) {
    const file = join(dir, name);
    const control = await runProgram('dpkg-deb', ['--field', file]);
    const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
    stanzas.push(
      `${control.trimEnd()}\nFilename: ./${name}\nSize: ${statSync(file).size}\nSHA256: ${sha256}\n`,
    );
  }
  writeFileSync(join(dir, 'Packages'), stanzas.join('\n'));
}
