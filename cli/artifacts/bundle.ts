// SPDX-License-Identifier: Apache-2.0
// `ts-provider artifacts bundle`: a folder with all files that nodes need, each checked, with the manifest that hosts read.
import { parseArgs } from 'node:util';
import { UsageError } from '../manifests.ts';
import { type Contents, CONTENTS, fillBundle } from './fill-bundle.ts';
import { imageName } from './image-name.ts';
import { mirrorsOf } from './mirrors.ts';
import {
  loginOf,
  oneOf,
  readText,
  required,
  SELECTION_HELP,
  SELECTION_OPTIONS,
  selectionOf,
} from './options.ts';
import type { RegistryLogin } from './registry.ts';

export const BUNDLE_HELP = `ts-provider artifacts bundle --kubernetes-version V -o DIR

Fetches all files and images that a node of that version needs into a folder, checks each against the sum that its publisher gives, and
writes the manifest. Run again, it goes on where it was; another version, architecture or platform joins what the folder has.

  -o, --output DIR             the folder
${SELECTION_HELP}  --only WHAT,...              some of ${CONTENTS.join(', ')}; default: all of them
  --images NAME,...            further images, such as those of the network plugin
  --image-archives DIR         folder of OCI archives (.tar) of images: these are not pulled
  --packages DIR               folder of .deb or .rpm files, with everything that they need; they become all packages of the platform
  --platform NAME              of these packages, <ID>-<VERSION_ID>-<architecture> of its /etc/os-release: debian-12-amd64
  --mirror HOST=URL            where to fetch what an upstream host has; for files also file:///folder; may be repeated
  --login HOST=USER:FILE       for the registry at HOST: a user, and a file with the password; may be repeated
  --ca FILE                    PEM certificates to trust besides the usual ones

A proxy is taken from HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
`;

/** The command. `say` gets a line for each file. Answers text. Throws UsageError, UnknownVersionError and ArtifactError. */
export async function bundleCommand(args: readonly string[], say: (line: string) => void): Promise<string> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...SELECTION_OPTIONS,
      output: { type: 'string', short: 'o' },
      only: { type: 'string', default: CONTENTS.join(',') },
      images: { type: 'string', default: '' },
      'image-archives': { type: 'string' },
      packages: { type: 'string' },
      platform: { type: 'string' },
      mirror: { type: 'string', multiple: true, default: [] },
      login: { type: 'string', multiple: true, default: [] },
      ca: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return BUNDLE_HELP;
  return fillBundle(
    {
      dir: required('-o DIR', values.output, 'the folder of the bundle'),
      selection: selectionOf(values),
      contents: new Set(wordsOf(values.only).map((word) => oneOf<Contents>('--only', word, CONTENTS))),
      furtherImages: wordsOf(values.images).map((name) => imageName(name)),
      ...(values['image-archives'] !== undefined && { archives: values['image-archives'] }),
      ...packagesOf(values),
      mirrors: mirrorsOf(values.mirror),
      logins: new Map(values.login.map(loginAt)),
      ...(values.ca !== undefined && { ca: [readText(values.ca)] }),
    },
    say,
  );
}

function wordsOf(text: string): string[] {
  return text.split(',').flatMap((word) => (word.trim() === '' ? [] : [word.trim()]));
}

const PLATFORM = /^[a-z0-9][a-z0-9._-]*-[a-z0-9._]+-(amd64|arm64)$/;

function packagesOf(values: {
  readonly packages?: string | undefined;
  readonly platform?: string | undefined;
}) {
  const { packages: folder, platform } = values;
  if (folder === undefined && platform === undefined) return {};
  if (folder === undefined || platform === undefined) {
    throw new UsageError('--packages DIR and --platform NAME belong together');
  }
  if (!PLATFORM.test(platform)) {
    throw new UsageError(`--platform ${platform}: write it like debian-12-amd64 or rocky-9.5-amd64`);
  }
  return { packages: { folder, platform } };
}

function loginAt(word: string): [string, RegistryLogin] {
  const [, host = '', username = '', file = ''] = /^([^=]+)=([^:]+):(.+)$/.exec(word) ?? [];
  const login = host === '' ? undefined : loginOf(username, file);
  if (login === undefined) {
    throw new UsageError('--login: write it like --login registry.example.org=robot:/run/secrets/password');
  }
  return [host, login];
}
