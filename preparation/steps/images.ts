// SPDX-License-Identifier: Apache-2.0
// Images that a node needs before it can ask for any: those of the artifacts, and the one that holds a pod together.
import type { PreparationInput } from '../input.ts';
import { parseVersion } from '../kubernetes-version.ts';
import { type FileContent, isFile, quote, writeFile } from '../shell.ts';
import type { PreparationStep } from '../step.ts';
import { artifactsPrefix } from './artifacts.ts';
import { sandboxImage } from './runtime-config.ts';

const DOCKER_HUB = 'docker.io';

/** The step `images`. */
export function imagesSteps(input: PreparationInput): PreparationStep[] {
  const crio = input.spec.containerRuntime?.type === 'crio';
  const settings = [
    `tag=${parseVersion(input.kubernetesVersion).tag}`,
    `runtime=${crio ? 'crio' : 'containerd'}`,
    'endpoints_of() {',
    ...['case "$1" in', ...endpointCases(input), 'esac'],
    '}',
    '',
  ].join('\n');
  const client = clientFile(crio ? 'crio/crio.sock' : 'containerd/containerd.sock');
  const prefix = artifactsPrefix(input) + settings + sandboxImage(input);
  return [
    {
      id: 'images',
      impact: 'none',
      deadlineSeconds: 1800,
      check: `${prefix}${FUNCTIONS}${isFile(client)} && has_images\n`,
      apply: `${prefix}${FUNCTIONS}${writeFile(client)}${APPLY}`,
    },
  ];
}

/** So that people need not tell crictl whom to ask. */
function clientFile(socket: string): FileContent {
  const content = `runtime-endpoint: unix:///run/${socket}\nimage-endpoint: unix:///run/${socket}\ntimeout: 10\n`;
  return { path: '/etc/crictl.yaml', mode: 0o644, content: `# Written by ts-provider\n${content}` };
}

/** For messages: who is asked for an image of a registry. */
function endpointCases({ spec }: PreparationInput): string[] {
  const registries = [...(spec.registries ?? [])].sort(
    (a, b) => Number(a.name === '*') - Number(b.name === '*'),
  );
  const cases = registries.map(({ name, mirrors, fallback }) => {
    const endpoints = mirrors.map(({ endpoint }) => endpoint).join(', ');
    const own = fallback === true ? ', $1' : '';
    return `${name === '*' ? '*' : quote(name)}) say ${quote(endpoints)}"${own}" ;;`;
  });
  return registries.some(({ name }) => name === '*') ? cases : [...cases, '*) say "$1" ;;'];
}

const FUNCTIONS = String.raw`
registry_of() {
  case "${'$'}{1%%/*}" in
    "$1") say ${DOCKER_HUB} ;;
    *.* | *:* | localhost) say "${'$'}{1%%/*}" ;;
    *) say ${DOCKER_HUB} ;;
  esac
}
runtime_socket() {
  case "$runtime" in crio) say /run/crio/crio.sock ;; *) say /run/containerd/containerd.sock ;; esac
}
crictl_here() { crictl --runtime-endpoint "unix://$(runtime_socket)" --image-endpoint "unix://$(runtime_socket)" --timeout 600s "$@"; }
images_here() {
  if [ "$runtime" = containerd ]; then
    ctr -n k8s.io images ls -q 2>/dev/null
  else
    crictl_here images -o json 2>/dev/null | tr ',[]' '\n\n\n' | sed -n 's/^ *"\([^"]*:[^"]*\)" *$/\1/p'
  fi
}
# Lines of the manifest: images of this version, or of any.
image_lines() {
  [ -n "$artifacts" ] || return 0
  awk -v tag="$tag" -v platform="linux-$arch" '!/^#/ && $3 == "image" && $6 == platform && ($5 == tag || $5 == "any")' "$artifacts_manifest"
}
# Archives are read by containerd only: CRI-O has no way in for them, and asks its registries.
missing_archives() {
  [ "$runtime" = containerd ] || return 0
  here=$(images_here)
  image_lines | while read -r line; do
    printf '%s\n' "$here" | grep -Fxq -- "$(word 4 $line)" || say "$line"
  done
}
has_images() {
  # A root file system that does not run has no runtime to ask.
  has_systemd || return 0
  [ -S "$(runtime_socket)" ] && [ -z "$(missing_archives)" ] && sandbox=$(sandbox_image) &&
    images_here | grep -Fxq -- "$sandbox"
}
pull() {
  if have crictl; then
    crictl_here pull "$1"
  elif [ "$runtime" = containerd ]; then
    ctr -n k8s.io images pull --hosts-dir /etc/containerd/certs.d "$1"
  else
    say 'crictl is not here'
    return 127
  fi
}
`;

const APPLY = String.raw`
has_systemd || return 0
tries=0
until [ -S "$(runtime_socket)" ]; do
  tries=$(( tries + 1 ))
  [ "$tries" -lt 30 ] || failed PreparationFailed "$runtime does not listen on $(runtime_socket)"
  sleep 1
done
missing_archives >"$preparation/wanted" || unwritten "$preparation/wanted cannot be written"
mkdir -p -- "$downloads" || unwritten "$downloads cannot be made"
while read -r line; do
  name=$(word 4 $line)
  # The archive, what is unpacked of it, and what containerd keeps of both.
  room /var/lib/containerd $(( $(word 2 $line) * 3 ))
  get_artifact "$line" "$downloads/image.tar"
  import_said=$(ctr -n k8s.io images import "$downloads/image.tar" 2>&1 </dev/null) ||
    unwritten "$name: its archive cannot be imported: $(printf '%s\n' "$import_said" | tail -n 1)"
  rm -f -- "$downloads/image.tar"
  images_here | grep -Fxq -- "$name" || failed ImageUnavailable "$name: the archive $(word 7 $line) has no image of that name"
done <"$preparation/wanted" || exit
rm -f -- "$preparation/wanted"
sandbox=$(sandbox_image) || exit
if ! images_here | grep -Fxq -- "$sandbox"; then
  pull_said=$(pull "$sandbox" 2>&1 </dev/null) || {
    ! pull_full=$(full_folder) || no_space_on "$pull_full"
    failed ImageUnavailable "$sandbox: asked $(endpoints_of "$(registry_of "$sandbox")"): $(hide "$(printf '%s\n' "$pull_said" | tail -n 1)")"
  }
fi
`;
