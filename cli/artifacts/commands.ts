// SPDX-License-Identifier: Apache-2.0
// `ts-provider artifacts`: which of its commands.
import { UsageError } from '../manifests.ts';
import { BUNDLE_HELP, bundleCommand } from './bundle.ts';
import { LIST_HELP, listCommand } from './list.ts';
import { PUSH_HELP, pushCommand } from './push.ts';
import { SERVE_HELP, serveCommand } from './serve.ts';

export const ARTIFACTS_HELP = [LIST_HELP, BUNDLE_HELP, PUSH_HELP, SERVE_HELP].join('\n');

/** What the commands need of the process. */
export interface ArtifactsDeps {
  /** Progress, and who asked the server for what. */
  readonly say: (line: string) => void;
  /** Aborted when the process is asked to end. */
  readonly ended: AbortSignal;
}

/** Answers what to print. Throws UsageError, UnknownVersionError and ArtifactError. */
export async function artifactsCommand(
  [command = '', ...rest]: readonly string[],
  deps: ArtifactsDeps,
): Promise<string> {
  switch (command) {
    case 'list':
      return listCommand(rest);
    case 'bundle':
      return bundleCommand(rest, deps.say);
    case 'push':
      return pushCommand(rest, deps.say);
    case 'serve':
      return serveCommand(rest, deps);
    case '--help':
    case '-h':
      return ARTIFACTS_HELP;
    default:
      throw new UsageError(
        `there is no command "artifacts ${command}"; there are: list, bundle, push, serve`,
      );
  }
}
