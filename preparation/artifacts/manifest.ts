// SPDX-License-Identifier: Apache-2.0
// The list of files on an artifacts server. Text of one line per file, since hosts read it with awk and nothing else.

/** First line of every manifest. */
export const MANIFEST_HEADER = '# ts-provider artifacts v1';

/** Name of the manifest below the base URL. */
export const MANIFEST_NAME = 'manifest';

/** What a file is: a program; a tar.gz; an OCI archive of one image; a deb or rpm. */
export const ARTIFACT_KINDS = ['binary', 'archive', 'image', 'package'] as const;

/** One of {@link ARTIFACT_KINDS}. */
export type ArtifactKind = (typeof ARTIFACT_KINDS)[number];

/** One file. */
export interface Artifact {
  /** Of its content, 64 small hex digits. */
  readonly sha256: string;
  /** In bytes. */
  readonly size: number;
  readonly kind: ArtifactKind;
  /** Of the program, archive or package; an image's with registry and tag. */
  readonly name: string;
  /** Of the file; an image's is the Kubernetes version that it belongs to, with a leading `v`, or `any`. */
  readonly version: string;
  /** `linux-amd64` or `linux-arm64`; a package's is that of its distribution, such as `debian-12-amd64`. */
  readonly platform: string;
  /** Relative to the base URL, without blanks, `..` or a leading slash. */
  readonly path: string;
}

/** Says which line is wrong, and how. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}

/** The text of a manifest, always the same for the same files, whatever their order. Throws {@link ManifestError}. */
export function formatManifest(artifacts: readonly Artifact[]): string {
  const lines = artifacts.map((artifact) => {
    const line = WORDS.map((word) => String(artifact[word])).join(' ');
    parseLine(line);
    return line;
  });
  const byPath = (line: string): string => line.slice(line.lastIndexOf(' ') + 1);
  lines.sort((a, b) => (byPath(a) < byPath(b) ? -1 : byPath(a) > byPath(b) ? 1 : 0));
  refuseTwice(lines.map(byPath));
  return [MANIFEST_HEADER, ...lines, ''].join('\n');
}

/** What {@link formatManifest} wrote. Throws {@link ManifestError}. */
export function parseManifest(text: string): Artifact[] {
  const [header, ...lines] = text.split('\n');
  if (header !== MANIFEST_HEADER) {
    throw new ManifestError(`the first line is not ${JSON.stringify(MANIFEST_HEADER)}`);
  }
  const artifacts = lines.flatMap((line, index) => {
    if (line === '' || line.startsWith('#')) return [];
    try {
      return [parseLine(line)];
    } catch (cause) {
      throw new ManifestError(`line ${index + 2}: ${(cause as Error).message}`, { cause });
    }
  });
  refuseTwice(artifacts.map(({ path }) => path));
  return artifacts;
}

const WORDS = ['sha256', 'size', 'kind', 'name', 'version', 'platform', 'path'] as const;

/** Hosts put these words into commands: nothing is let in that a shell or awk would read otherwise. */
const WORD_RULES: Readonly<Record<(typeof WORDS)[number], RegExp>> = {
  sha256: /^[0-9a-f]{64}$/,
  size: /^(0|[1-9][0-9]{0,14})$/,
  kind: new RegExp(`^(${ARTIFACT_KINDS.join('|')})$`),
  name: /^[A-Za-z0-9][A-Za-z0-9._+:/@-]*$/,
  version: /^[A-Za-z0-9][A-Za-z0-9._+:~^-]*$/,
  platform: /^[a-z0-9][a-z0-9._-]*-(amd64|arm64)$/,
  path: /^(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._+~/@%=-]*$/,
};

function parseLine(line: string): Artifact {
  const words = line.split(' ');
  if (words.length !== WORDS.length) {
    throw new ManifestError(`${words.length} words where ${WORDS.length} are due: ${line}`);
  }
  WORDS.forEach((word, index) => {
    const text = words[index]!;
    if (!WORD_RULES[word].test(text)) throw new ManifestError(`${word} cannot be ${JSON.stringify(text)}`);
  });
  const [sha256, size, kind, name, version, platform, path] = words as [string, string, ...string[]];
  return {
    sha256,
    size: Number(size),
    kind: kind as ArtifactKind,
    name: name!,
    version: version!,
    platform: platform!,
    path: path!,
  };
}

function refuseTwice(paths: readonly string[]): void {
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined) throw new ManifestError(`${twice} is listed twice`);
}
