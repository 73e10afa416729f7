// SPDX-License-Identifier: Apache-2.0
// What is compared, and what is meant to differ. Each row of the table must be met by a document, or it is a promise about nothing.
import type { Entry, Outcome } from './run.ts';

/** State of the two programs themselves, and copies that tools of the system keep. */
const OWN = [
  ...[
    /^\/compared/,
    /^\/var\/lib\/cloud/,
    /^\/run\/cloud-init/,
    /^\/var\/log/,
    /^\/var\/lib\/ts-provider/,
    /^\/tmp/,
  ],
  ...[
    /^\/etc\/(?:passwd|shadow|group|gshadow|subuid|subgid)-$/,
    /^\/etc\/\.pwd\.lock$/,
    /^\/var\/(?:cache|tmp)/,
  ],
  // A note of the time at which sudo's and cloud-init's tools ran.
  /^\/var\/lib\/(?:sudo|systemd)/,
];

/** A difference that is meant: what it is, and how both sides are made equal where it occurs. */
export interface Difference {
  readonly id: string;
  /** For the documentation. */
  readonly what: string;
  /** Path, content of the real one and of ours; answers what both would be without the difference. */
  apply(
    path: string,
    real: Entry | undefined,
    ours: Entry | undefined,
  ): readonly [real: Entry | undefined, ours: Entry | undefined];
}

function onContent(paths: RegExp, change: (content: string) => string): Difference['apply'] {
  const changed = (entry: Entry | undefined): Entry | undefined =>
    entry && { ...entry, content: change(entry.content) };
  return (path, real, ours) => (paths.test(path) ? [changed(real), changed(ours)] : [real, ours]);
}

function onlyReal(paths: RegExp, holds: (entry: Entry) => boolean = () => true): Difference['apply'] {
  return (path, real, ours) =>
    paths.test(path) && ours === undefined && real !== undefined && holds(real)
      ? [undefined, undefined]
      : [real, ours];
}

/** docs/backends/hosts.md has the same list in words. */
export const DIFFERENCES: readonly Difference[] = [
  {
    id: 'header',
    what: 'Files that are written as a whole say who wrote them.',
    apply: onContent(
      /^\/etc\/(?:sudoers\.d\/90-cloud-init-users|hosts|systemd\/timesyncd\.conf\.d\/cloud-init\.conf)$/,
      (text) =>
        text
          .replace(/^#(?! User rules).*\n/gm, '')
          .replace(/\n+/g, '\n')
          .replace(/[ \t]+/g, ' ')
          .replace(/ $/gm, '')
          .trimStart(),
    ),
  },
  {
    id: 'mount-options',
    what: 'A mount without options does not wait for units of cloud-init; our comment marks our lines.',
    apply: onContent(/^\/etc\/fstab$/, (text) =>
      text
        .replace(/defaults,(?:nobootwait|nofail)(?=,comment=)/g, 'DEFAULTS')
        .replace(/comment=[\w-]+/g, 'COMMENT'),
    ),
  },
  {
    id: 'time-servers',
    what: 'The configuration of a time client has the same servers, but not the rest of the template of cloud-init.',
    apply: onContent(/^\/etc\/(?:chrony\/chrony|ntp)\.conf$/, (text) =>
      text
        .split('\n')
        .filter((line) => /^(?:server|pool)\b/.test(line))
        .join('\n'),
    ),
  },
  {
    id: 'keys-of-root',
    what: 'Keys of the document may log in as root; cloud-init lets nobody, and makes the file in any case.',
    apply: (path, real, ours) => {
      if (!/^\/root\/\.ssh(?:\/authorized_keys)?$/.test(path)) return [real, ours];
      if (ours === undefined && (real?.kind === 'folder' || real?.content === ''))
        return [undefined, undefined];
      const plain = real && {
        ...real,
        content: real.content.replace(/^no-port-forwarding,.*?exit 142" /gm, ''),
      };
      return [plain, ours];
    },
  },
  {
    id: 'host-name',
    what: 'A host keeps the name that it has unless the document says another; cloud-init takes the one of the metadata.',
    apply: onlyReal(/^\/etc\/hostname$/),
  },
  {
    id: 'order-of-keys',
    what: 'Keys are written in their order; cloud-init has none.',
    apply: onContent(/authorized_keys$/, (text) => text.split('\n').sort().join('\n')),
  },
  {
    id: 'salt',
    what: 'A password in plain text is hashed with a new salt each time.',
    apply: onContent(/^\/etc\/shadow$/, (text) => text.replace(/^(plain\w*:!?)\$y\$[^:]*/gm, '$1HASH')),
  },
];

/** What is left when the meant differences are taken away; `met` gets their ids. */
export function compare(real: Outcome, ours: Outcome, met: Set<string>): string[] {
  const paths = [...new Set([...real.files.keys(), ...ours.files.keys()])].filter(
    (path) => !OWN.some((own) => own.test(path)),
  );
  const problems = paths.sort().flatMap((path) => {
    let pair: readonly [Entry | undefined, Entry | undefined] = [real.files.get(path), ours.files.get(path)];
    for (const difference of DIFFERENCES) {
      const [one, two] = pair;
      if (isEqual(one, two)) break;
      const next = difference.apply(path, one, two);
      if (isEqual(...next) || JSON.stringify(next) !== JSON.stringify(pair)) met.add(difference.id);
      pair = next;
    }
    return isEqual(...pair) ? [] : [`${path}: real ${shown(pair[0])}, ours ${shown(pair[1])}`];
  });
  if (real.hostname !== ours.hostname)
    problems.push(`host name: real ${real.hostname}, ours ${ours.hostname}`);
  return problems;
}

function isEqual(one: Entry | undefined, other: Entry | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function shown(entry: Entry | undefined): string {
  return entry === undefined
    ? 'as before'
    : `${entry.kind} ${entry.mode} ${entry.owner} ${JSON.stringify(entry.content)}`;
}
