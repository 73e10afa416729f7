// SPDX-License-Identifier: Apache-2.0
// Where packages of Kubernetes and of the container runtime come from: upstream, or a mirror laid out as upstream is.
import type { ContainerRuntime } from '../../api/preparation.ts';
import type { PreparationInput } from '../input.ts';
import { type KubernetesVersion, parseVersion } from '../kubernetes-version.ts';
import { PreparationError } from '../preparation-error.ts';
import { quote } from '../shell.ts';
import type { PreparationStep } from '../step.ts';

const KUBERNETES = 'https://pkgs.k8s.io/core:/stable:';
const DOCKER = 'https://download.docker.com/linux';
const CRIO = 'https://download.opensuse.org/repositories/isv:/cri-o:/stable:';

/** The step `repositories`; none where artifacts are the source. */
export function repositoriesSteps(input: PreparationInput): PreparationStep[] {
  if (input.spec.source?.artifacts) return [];
  const body = `${FUNCTIONS}${familyFunctions(input)}`;
  return [
    {
      id: 'repositories',
      impact: 'none',
      deadlineSeconds: 900,
      check: `${body}are_written && [ "$(cat "$preparation/repositories" 2>/dev/null)" = "$(summary)" ]\n`,
      apply: `${body}${APPLY}`,
    },
  ];
}

/** `each_repository command` calls it with the name, URL, apt's suite and components, URL of the key, given key, and packages to hold. */
function familyFunctions({ kubernetesVersion, spec }: PreparationInput): string {
  const version = parseVersion(kubernetesVersion);
  const { kubernetes = {}, containerRuntime = {} } = spec.source?.packages ?? {};
  const url = `${base(kubernetes.baseURL ?? KUBERNETES)}/${version.minor}`;
  const [deb, rpm] = runtimeLines(spec.containerRuntime ?? {}, containerRuntime.baseURL, version);
  return [
    `kubernetes_key=${quote(kubernetes.key ?? '')}\nruntime_key=${quote(containerRuntime.key ?? '')}\n`,
    'each_repository() {\ncase "$family" in\n',
    `debian)\n"$1" kubernetes ${quote(`${url}/deb/`)} / ${quote(`${url}/deb/Release.key`)} "$kubernetes_key" ''\n${deb};;\n`,
    `rhel | suse)\n"$1" kubernetes ${quote(`${url}/rpm/`)} - ${quote(`${url}/rpm/repodata/repomd.xml.key`)} "$kubernetes_key" '${HELD}'\n${rpm};;\n`,
    '*) failed PackageUnavailable "$os_name has no packages of Kubernetes: take artifacts" ;;\nesac\n}\n',
  ].join('');
}

/** What an update of everything must not touch; our own commands do not heed it. */
const HELD = 'kubelet kubeadm kubectl cri-tools kubernetes-cni';

function base(url: string): string {
  return url.replace(/\/+$/, '');
}

/** CRI-O has a repository for each of its minors, which are those of Kubernetes. */
function crioBase(wanted: string | undefined, own: string | undefined, version: KubernetesVersion): string {
  if (wanted !== undefined && !/^\d+\.\d+/.test(wanted)) {
    throw new PreparationError('containerRuntime.version', 'CRI-O needs at least its minor, such as "1.36"');
  }
  const minor = wanted === undefined ? version.minor : `v${wanted.split('.').slice(0, 2).join('.')}`;
  return `${base(own ?? CRIO)}/${minor}`;
}

type Lines = readonly [deb: string, rpm: string];

function runtimeLines(runtime: ContainerRuntime, own: string | undefined, version: KubernetesVersion): Lines {
  if (runtime.type === 'crio') return crioLines(crioBase(runtime.version, own, version));
  return dockerLines(base(own ?? DOCKER));
}

function crioLines(url: string): Lines {
  const line = (folder: string, suite: string, key: string): string =>
    `"$1" runtime ${quote(`${url}/${folder}/`)} ${suite} ${quote(`${url}/${folder}/${key}`)} "$runtime_key" ''\n`;
  return [line('deb', '/', 'Release.key'), line('rpm', '-', 'repodata/repomd.xml.key')];
}

/**
 * Those that are built like RHEL take what is for CentOS; there is none for SUSE, which has containerd itself. Derivatives of Debian and
 * Ubuntu are not there by their own name: they have to name a mirror that has them.
 */
function dockerLines(url: string): Lines {
  const deb = `"$1" runtime ${quote(url)}/"$os_id" "$os_codename stable" ${quote(url)}/"$os_id"/gpg "$runtime_key" ''\n`;
  const rpm = String.raw`
case "$os_id" in rhel | fedora | centos) docker_os=$os_id ;; *) docker_os=centos ;; esac
[ "$family" = suse ] || "$1" runtime ${quote(url)}/"$docker_os/${'$'}{os_version%%.*}/$(uname -m)/stable/" - ${quote(url)}/"$docker_os"/gpg "$runtime_key" ''
`;
  return [deb, rpm];
}

const FUNCTIONS = String.raw`
key_file() {
  case "$family" in
    debian) say "/etc/apt/keyrings/ts-provider-$1.asc" ;;
    *) say "/etc/pki/rpm-gpg/ts-provider-$1.asc" ;;
  esac
}
source_file() {
  case "$family" in
    debian) say "/etc/apt/sources.list.d/ts-provider-$1.list" ;;
    rhel) say "/etc/yum.repos.d/ts-provider-$1.repo" ;;
    suse) say "/etc/zypp/repos.d/ts-provider-$1.repo" ;;
  esac
}
source_text() {
  say '# Written by ts-provider'
  if [ "$family" = debian ]; then
    say "deb [arch=$arch signed-by=$(key_file "$1")] $2 $3"
    return
  fi
  say "[ts-provider-$1]
name=$1, for ts-provider
baseurl=$2
enabled=1
autorefresh=1
gpgcheck=1
gpgkey=file://$(key_file "$1")"
  [ -z "$6" ] || say "exclude=$6"
}
is_source() {
  source_text "$@" | same_file "$(source_file "$1")" 0644 || return 1
  if [ -n "$5" ]; then say "$5" | same_file "$(key_file "$1")" 0644; else [ -s "$(key_file "$1")" ] && lay "$(key_file "$1")"; fi
}
are_written() {
  written=yes
  note_written() { is_source "$@" || written=no; }
  each_repository note_written
  [ "$written" = yes ]
}
summary() { each_repository source_text | sha256sum; }
put_source() {
  if [ -n "$5" ]; then
    say "$5" | put_file "$(key_file "$1")" 0644 || exit
  else
    make_state || unwritten "$preparation cannot be made"
    if ! fetch_part "$4" "$preparation/key"; then
      ! was_refused || failed RepositoryUntrusted "$(hide "$2"): its key is not at $(hide "$4"): $(last_said)"
      fetch_failed "$4" "$preparation/key"
    fi
    if ! grep -q 'BEGIN PGP PUBLIC KEY BLOCK' "$preparation/key.part"; then
      rm -f -- "$preparation/key.part"
      failed RepositoryUntrusted "$(hide "$2"): $(hide "$4") is no public key"
    fi
    put_file "$(key_file "$1")" 0644 <"$preparation/key.part"
    rm -f -- "$preparation/key.part"
  fi
  if [ "$family" != debian ]; then
    rpm --import "$(key_file "$1")" 2>/dev/null || failed RepositoryUntrusted "$(hide "$2"): rpm does not take its key"
  fi
  source_text "$@" | put_file "$(source_file "$1")" 0644 || exit
}
`;

/**
 * Repositories are behind https, and the smallest Debian knows no authority: those of the distribution, which are not, come first. A
 * source of ours that was left half made must not be in the way of that.
 */
const APPLY = String.raw`
mend_packages
rm -f -- "$preparation/repositories"
if [ "$family" = debian ] && [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then
  rm -f -- "$(source_file kubernetes)" "$(source_file runtime)"
  refresh_packages
  install_packages ca-certificates
fi
each_repository put_source
refresh_packages
summary | put_state "$preparation/repositories" || unwritten "$preparation/repositories cannot be written"
`;
