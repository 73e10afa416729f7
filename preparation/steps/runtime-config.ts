// SPDX-License-Identifier: Apache-2.0
// How the container runtime is configured, apart from its registries.
import type { PreparationInput } from '../input.ts';
import { parseVersion } from '../kubernetes-version.ts';
import { PreparationError } from '../preparation-error.ts';
import { type FileContent, isFile, quote, writeFile } from '../shell.ts';
import type { PreparationStep } from '../step.ts';
import { STALE, staleFiles } from './stale.ts';
import { tomlString } from './toml.ts';

/** Where containerd looks for the registries. */
export const CERTS_FOLDER = '/etc/containerd/certs.d';

/** Logins of CRI-O for registries. */
export const CRIO_LOGINS = '/etc/crio/ts-provider-auth.json';

const CONTAINERD = '/etc/containerd/config.toml';
const CONTAINERD_MORE = '/etc/containerd/conf.d/99-ts-provider.toml';
const CRIO = '/etc/crio/crio.conf.d/98-ts-provider.conf';
const CRIO_MORE = '/etc/crio/crio.conf.d/99-ts-provider.conf';

/** The unit that Flatcar brings reads another file, and finds programs of ours only with a longer path. */
const FLATCAR: FileContent = {
  path: '/etc/systemd/system/containerd.service.d/ts-provider-config.conf',
  mode: 0o644,
  content: [
    '# Written by ts-provider',
    '[Service]',
    `Environment=CONTAINERD_CONFIG=${CONTAINERD}`,
    'Environment=PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    '',
  ].join('\n'),
};

/** Files of which a change makes a restart of the runtime necessary. */
export const RUNTIME_FILES: Readonly<Record<'containerd' | 'crio', readonly string[]>> = {
  containerd: [CONTAINERD, CONTAINERD_MORE, FLATCAR.path],
  crio: [CRIO, CRIO_MORE],
};

/**
 * `sandbox_image` prints the image that holds the namespaces of a pod: the one of the spec, or what kubeadm of the version names. Ends the
 * step when kubeadm cannot say.
 */
export function sandboxImage({ spec, kubernetesVersion }: PreparationInput): string {
  const image = spec.containerRuntime?.sandboxImage;
  if (image !== undefined) {
    if (!/^[\w.:/@-]+$/.test(image))
      throw new PreparationError('containerRuntime.sandboxImage', 'is not the name of an image');
    return `sandbox_image() { say ${quote(image)}; }\n`;
  }
  return String.raw`
sandbox_image() {
  sandbox=$(kubeadm config images list --kubernetes-version ${parseVersion(kubernetesVersion).tag} 2>/dev/null | grep -E '(^|/)pause:')
  [ -n "$sandbox" ] || failed PreparationFailed 'kubeadm does not say which image holds the namespaces of a pod: set host.preparation.containerRuntime.sandboxImage'
  say "$sandbox"
}
`;
}

/** The step `runtime_config`. Belongs behind the step that brings kubeadm. */
export function runtimeConfigSteps(input: PreparationInput): PreparationStep[] {
  const runtime = input.spec.containerRuntime ?? {};
  const type = runtime.type ?? 'containerd';
  const main = { containerd: CONTAINERD, crio: CRIO }[type];
  const more =
    type === 'crio' ? crioMore(runtime.additionalConfig) : containerdMore(runtime.additionalConfig);
  const flatcar = type === 'containerd' ? [FLATCAR] : [];
  const kept = [main, ...[...more, ...flatcar].map(({ path }) => path)];
  const stale = staleFiles(Object.values(RUNTIME_FILES).flat(), kept);
  const onFlatcar = (command: (file: FileContent) => string): string =>
    flatcar.map((file) => `if [ "$family" = flatcar ]; then\n${command(file)}fi\n`).join('');
  const text = type === 'crio' ? crioText(input) : containerdText(input);
  const prefix = `${STALE}${sandboxImage(input)}runtime_config() {\nsandbox=$(sandbox_image) || exit\nsay ${text}\n}\n`;
  return [
    {
      id: 'runtime_config',
      impact: 'restart',
      deadlineSeconds: 120,
      check: [
        `${prefix}[ -z "$(${stale})" ] || return 1\n`,
        ...more.map((file) => `${isFile(file)} || return 1\n`),
        onFlatcar((file) => `${isFile(file)} || return 1\n`),
        `config=$(runtime_config) && say "$config" | same_file ${main} 0644\n`,
      ].join(''),
      apply: [
        `${prefix}config=$(runtime_config) || exit\n${stale} | put_back\n`,
        ...more.map(writeFile),
        onFlatcar(writeFile),
        `say "$config" | put_file ${main} 0644\n`,
        type === 'containerd' ? ACCEPTED : '',
      ].join(''),
    },
  ];
}

/** A typing error in the additional configuration is told here, and not by a service that does not start. */
const ACCEPTED = String.raw`
if have containerd; then
  said=$(containerd --config ${CONTAINERD} config dump 2>&1 >/dev/null) ||
    failed PreparationFailed "containerd does not accept its configuration: $(say "$said" | grep -v '^$' | tail -n 1)"
fi
`;

/** As a word of the shell; the sandbox image stands in it as a variable. */
function word(lines: readonly string[]): string {
  return lines.map((line) => quote(line).replaceAll('@SANDBOX@', `'"$sandbox"'`)).join(`'\n'`);
}

function containerdText({ spec }: PreparationInput): string {
  const images = "plugins.'io.containerd.cri.v1.images'";
  const runtime = "plugins.'io.containerd.cri.v1.runtime'";
  return word([
    '# Written by ts-provider. Further settings come from conf.d.',
    'version = 3',
    "imports = ['/etc/containerd/conf.d/*.toml']",
    '',
    `[${images}.pinned_images]`,
    "  sandbox = '@SANDBOX@'",
    '',
    `[${images}.registry]`,
    `  config_path = '${CERTS_FOLDER}'`,
    '',
    `[${runtime}.containerd.runtimes.runc]`,
    "  runtime_type = 'io.containerd.runc.v2'",
    '',
    `[${runtime}.containerd.runtimes.runc.options]`,
    `  SystemdCgroup = ${spec.containerRuntime?.cgroupDriver !== 'cgroupfs'}`,
  ]);
}

/** What says no version would be read as version 1. It may hold secrets. */
function containerdMore(config: string | undefined): FileContent[] {
  if (config === undefined) return [];
  const versioned = /^[ \t]*version[ \t]*=/m.test(config.split(/^[ \t]*\[/m)[0]!);
  const content = `${versioned ? '' : 'version = 3\n'}${config}\n`;
  return [{ path: CONTAINERD_MORE, mode: 0o600, content: `# Written by ts-provider\n${content}` }];
}

function crioText({ spec, secrets }: PreparationInput): string {
  const logins = Object.keys(secrets.registries).length > 0;
  return word([
    '# Written by ts-provider. Further settings come from the next file.',
    '[crio.image]',
    'pause_image = "@SANDBOX@"',
    ...(logins
      ? [
          `global_auth_file = ${tomlString(CRIO_LOGINS)}`,
          `pause_image_auth_file = ${tomlString(CRIO_LOGINS)}`,
        ]
      : []),
    '',
    '[crio.runtime]',
    `cgroup_manager = "${spec.containerRuntime?.cgroupDriver ?? 'systemd'}"`,
    'conmon_cgroup = "pod"',
  ]);
}

function crioMore(config: string | undefined): FileContent[] {
  return config === undefined
    ? []
    : [{ path: CRIO_MORE, mode: 0o600, content: `# Written by ts-provider\n${config}\n` }];
}
