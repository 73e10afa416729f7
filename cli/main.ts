// SPDX-License-Identifier: Apache-2.0
// The command line: which command, and how it ends. 0: done; 1: what was asked for cannot be had; 2: wrong usage.
import { InputError } from '../kubeadm/input-error.ts';
import { UnknownVersionError } from '../preparation/artifacts/versions.ts';
import { ARTIFACTS_HELP, artifactsCommand } from './artifacts/commands.ts';
import { ArtifactError } from './artifacts/errors.ts';
import { IAM_POLICY_HELP, iamPolicyCommand } from './aws/iam-policy.ts';
import { IMPORT_HELP, importCommand } from './hosts/import.ts';
import { terminal } from './hosts/terminal.ts';
import { UsageError } from './manifests.ts';
import { RENDER_HELP, renderCommand } from './render.ts';

const HELP = `ts-provider render         print the bootstrap data that a machine would get
ts-provider hosts import   make TSHosts and their Secrets from a list of hosts
ts-provider artifacts ...  list, bundle, push and serve what nodes need at a site without internet
ts-provider aws iam-policy what AWS has to allow the manager

${RENDER_HELP}
${IMPORT_HELP}
${ARTIFACTS_HELP}
${IAM_POLICY_HELP}`;

async function run(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  switch (command) {
    case undefined:
    case '--help':
    case '-h':
    case 'help':
      process.stdout.write(HELP);
      return command === undefined ? 2 : 0;
    case 'render':
      return render(rest);
    case 'hosts':
      return hosts(rest);
    case 'artifacts':
      return artifacts(rest);
    case 'aws':
      return aws(rest);
    default:
      throw new UsageError(
        `there is no command "${command}"; there are: render, hosts import, artifacts, aws iam-policy`,
      );
  }
}

function render(args: readonly string[]): number {
  const { data, notes } = renderCommand(args);
  process.stdout.write(data.endsWith('\n') ? data : `${data}\n`);
  for (const line of notes) process.stderr.write(`${line}\n`);
  return 0;
}

function aws([command = '', ...rest]: readonly string[]): number {
  if (command !== 'iam-policy')
    throw new UsageError(`there is no command "aws ${command}"; there is: aws iam-policy`);
  const { json, notes } = iamPolicyCommand(rest);
  process.stdout.write(json);
  for (const line of notes) process.stderr.write(`${line}\n`);
  return 0;
}

async function hosts([command = '', ...rest]: readonly string[]): Promise<number> {
  if (command !== 'import')
    throw new UsageError(`there is no command "hosts ${command}"; there is: hosts import`);
  process.stdout.write(await importCommand(rest, terminal));
  return 0;
}

async function artifacts(args: readonly string[]): Promise<number> {
  const end = new AbortController();
  if (args[0] === 'serve') {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end.abort());
  }
  const say = (line: string) => void process.stderr.write(`${line}\n`);
  process.stdout.write(await artifactsCommand(args, { say, ended: end.signal }));
  return 0;
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`ts-provider: ${error instanceof Error ? error.message : String(error)}\n`);
  const refused = [InputError, ArtifactError, UnknownVersionError].some((kind) => error instanceof kind);
  process.exitCode = refused ? 1 : 2;
}
