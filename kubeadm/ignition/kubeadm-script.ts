// SPDX-License-Identifier: Apache-2.0
import type { MachineContents } from '../machine-contents.ts';

/** Where kubeadm finds its configuration; its presence is what starts kubeadm.service. */
export const KUBEADM_CONFIG = '/etc/kubeadm.yml';
export const KUBEADM_SCRIPT = '/etc/kubeadm.sh';

/**
 * The script that kubeadm.service runs once: commands, kubeadm, the sentinel file (BC-9), commands. It stops at the first that fails,
 * so only a machine that got that far has the sentinel. Moving the configuration away keeps a second boot from running it again.
 */
export function kubeadmScript(contents: MachineContents): string {
  const verb = contents.purpose === 'init' ? 'init' : 'join';
  // Without a verbosity a space stays at the end: the script is the stock provider's to the byte.
  const verbosity = contents.verbosity === undefined ? '' : `--v ${contents.verbosity}`;
  const lines = [
    '#!/bin/bash',
    'set -e',
    '',
    ...contents.preKubeadmCommands,
    '',
    `kubeadm ${verb} --config ${KUBEADM_CONFIG} ${verbosity}`,
    'mkdir -p /run/cluster-api && echo success > /run/cluster-api/bootstrap-success.complete',
    `mv ${KUBEADM_CONFIG} /tmp/`,
    '',
    ...contents.postKubeadmCommands,
  ];
  // To bash a carriage return would be part of the last word.
  const script = lines.join('\n').replaceAll('\r\n', '\n');
  return `${script.replace(/\n+$/, '')}\n`;
}
