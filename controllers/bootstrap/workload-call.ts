// SPDX-License-Identifier: Apache-2.0
import { InputError } from '../../kubeadm/input-error.ts';
import { ApiError, errorMessage, TerminalError, TransientError } from '../../runtime/errors.ts';
import { keyOf } from '../../runtime/object.ts';
import type { BootstrapScope } from './scope.ts';
import { SECRET_POLL_MS } from './secret-reader.ts';

/** Calls a workload cluster's API; what fails says which cluster, and which Secret when it is the credentials. Tried again with back-off. */
export async function callWorkload<T>({ owner }: BootstrapScope, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    // Of what was read there, not of the call; nobody tells us when it is mended.
    if (error instanceof InputError && error.field.startsWith('Secret ')) throw unwatched(error);
    if (error instanceof InputError || error instanceof TerminalError) throw error;
    const cluster = keyOf({ namespace: owner.namespace, name: owner.clusterName });
    throw new TransientError(`the API server of cluster ${cluster} ${trouble(error, cluster)}`, {
      ...(retryAfter(error) !== undefined && { retryAfterMs: retryAfter(error)! }),
    });
  }
}

function unwatched({ message }: InputError): TransientError {
  return new TransientError(message, { retryAfterMs: SECRET_POLL_MS });
}

function trouble(error: unknown, cluster: string): string {
  const why = errorMessage(error);
  if (!(error instanceof ApiError)) return `does not answer: ${why}`;
  if (error.code !== 401 && error.code !== 403) return `refuses a bootstrap token: ${why}`;
  return (
    `refuses the credentials in Secret ${cluster}-kubeconfig: ${why}. ` +
    'Delete the Secret to have the control plane provider make it again'
  );
}

function retryAfter(error: unknown): number | undefined {
  return error instanceof ApiError || error instanceof TransientError ? error.retryAfterMs : undefined;
}
