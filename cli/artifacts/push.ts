// SPDX-License-Identifier: Apache-2.0
// `ts-provider artifacts push`: the images of a bundle into the registry of a site.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Artifact } from '../../preparation/artifacts/manifest.ts';
import { readBundle } from './bundle-folder.ts';
import { digestOf } from './download.ts';
import { ArtifactError } from './errors.ts';
import { httpClient } from './http.ts';
import { imageName } from './image-name.ts';
import { registryPlace } from './mirrors.ts';
import { readImageArchive } from './oci-archive.ts';
import { loginOf, oneOf, readText, required } from './options.ts';
import { pushImage } from './push-image.ts';
import { registryClient } from './registry.ts';
import { ARCHITECTURES } from './upstream.ts';

export const PUSH_HELP = `ts-provider artifacts push --bundle DIR --registry URL

Pushes every image of a bundle to a registry, where hosts find it with that registry as their mirror: registry.k8s.io/kube-proxy:v1.36.3
becomes kube-proxy:v1.36.3. Run again, it pushes what is missing. What is in the bundle is checked before, what is in the registry after.

  --bundle DIR                 the folder
  --registry URL               such as https://registry.example.org:5000
  --prefix PATH                before all repositories: mirror/kube-proxy
  --architecture A             ${ARCHITECTURES.join(' or ')}; default: amd64
  --ca FILE                    PEM certificates to trust besides the usual ones
  --username NAME              who pushes
  --password-file FILE         with the password
`;

/** The command. `say` gets a line for each image. Answers text. Throws UsageError and ArtifactError. */
export async function pushCommand(args: readonly string[], say: (line: string) => void): Promise<string> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      bundle: { type: 'string' },
      registry: { type: 'string' },
      prefix: { type: 'string' },
      architecture: { type: 'string', default: 'amd64' },
      ca: { type: 'string' },
      username: { type: 'string' },
      'password-file': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return PUSH_HELP;
  const dir = required('--bundle DIR', values.bundle, 'the folder of the bundle');
  const url = required('--registry URL', values.registry, 'the registry');
  const place = registryPlace(
    values.prefix === undefined ? url : `${url.replace(/\/$/, '')}/${values.prefix}`,
  );
  const architecture = oneOf('--architecture', values.architecture, ARCHITECTURES);
  const login = loginOf(values.username, values['password-file']);
  const images = imagesIn(dir, architecture);
  const http = httpClient(values.ca === undefined ? {} : { ca: [readText(values.ca)] });
  try {
    const registry = registryClient(http, place, { login, actions: 'pull,push' });
    for (const artifact of images) {
      const archive = join(dir, artifact.path);
      await requireUndamaged(archive, artifact);
      const image = readImageArchive(archive, architecture);
      const { bytes, unchanged } = await pushImage(http, registry, { archive, image });
      say(
        `${(unchanged ? 'have' : `${(bytes / 1e6).toFixed(1)} MB`).padEnd(11)} ${artifact.name} ${image.digest}`,
      );
    }
  } finally {
    await http.close();
  }
  return `${place.origin}: ${images.length} images of ${dir}\n`;
}

/** Each name once: Kubernetes versions share images. Throws ArtifactError when there is none. */
function imagesIn(dir: string, architecture: string): Artifact[] {
  const all = readBundle(dir).filter(
    ({ kind, platform }) => kind === 'image' && platform === `linux-${architecture}`,
  );
  const images = new Map(all.map((artifact) => [artifact.name, artifact]));
  if (images.size === 0)
    throw new ArtifactError(`${dir}: no image for linux/${architecture} is in the bundle`);
  refuseNamesakes([...images.keys()]);
  return [...images.values()];
}

/** A mirror is not told of which registry an image is: two of the same repository and tag would overwrite each other. */
function refuseNamesakes(names: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const name of names) {
    const { repository, tag } = imageName(name);
    const there = `${repository}:${tag}`;
    const other = seen.get(there);
    if (other !== undefined) {
      throw new ArtifactError(
        `${other} and ${name} would both be ${there}; make a bundle for each and push them with another --prefix`,
      );
    }
    seen.set(there, name);
  }
}

async function requireUndamaged(path: string, { sha256 }: Artifact): Promise<void> {
  const got = await digestOf(path);
  if (got !== sha256) {
    throw new ArtifactError(`${path}: SHA-256 is ${got}, the manifest says ${sha256}. Carry it over again`);
  }
}
