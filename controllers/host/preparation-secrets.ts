// SPDX-License-Identifier: Apache-2.0
// What the Secrets hold that a preparation names. Never logged, never told.
import { Reason } from '../../api/conditions.ts';
import type { HostPreparation } from '../../api/preparation.ts';
import type { Login, PreparationSecrets } from '../../preparation/input.ts';
import type { Ctx } from '../../runtime/context.ts';
import { keyOf } from '../../runtime/object.ts';
import type { Transition } from './scope.ts';
import { type SecretReader, textOf } from './secrets.ts';

/** Why there are none: one line for people. */
export interface Missing {
  readonly error: NonNullable<Transition['error']>;
}

/** A Secret that the spec names, and the field below spec.host.preparation that does. */
interface Named {
  readonly name: string;
  readonly field: string;
}

/** All of them, or what is wrong with the first that cannot be used. Secrets are in the namespace of the machine. */
export async function preparationSecrets(
  ctx: Ctx,
  { spec, namespace }: { readonly spec: HostPreparation; readonly namespace: string },
  reader: SecretReader,
): Promise<PreparationSecrets | Missing> {
  const registries: Record<string, Login> = {};
  const mirrors = mirrorsWithAuth(spec);
  for (const { endpoint, ...named } of mirrors) {
    const other = mirrors.find((one) => one.endpoint === endpoint && one.name !== named.name);
    if (other !== undefined) return twoSecrets(endpoint, [named.name, other.name]);
    const login = await loginOf(named);
    if ('error' in login) return login;
    registries[endpoint] = login;
  }
  const name = spec.proxy?.credentialsRef?.name;
  if (name === undefined) return { registries };
  const proxy = await loginOf({ name, field: 'proxy.credentialsRef' });
  return 'error' in proxy ? proxy : { registries, proxy };

  async function loginOf({ name, field }: Named): Promise<Login | Missing> {
    const key = { namespace, name };
    const wrong = (what: string): Missing => {
      const message = `Secret ${keyOf(key)}, which spec.host.preparation.${field} of the TSMachine names, ${what}`;
      return { error: { reason: Reason.PreparationCredentialsMissing, message } };
    };
    const secret = await reader.get(ctx, key);
    if (secret === undefined) return wrong('does not exist; make it with the keys username and password');
    const [username, password] = [textOf(secret, 'username'), textOf(secret, 'password')];
    if (username === '') return wrong('has no username; add this key');
    return password === '' ? wrong('has no password; add this key') : { username, password };
  }
}

/** Container runtimes know a login by its endpoint: one of the two would be used for both. */
function twoSecrets(endpoint: string, [one, other]: readonly [string, string]): Missing {
  const message = `spec.host.preparation.registries of the TSMachine names the Secrets ${one} and ${other} for the same endpoint ${endpoint}: name one of them in both places`;
  return { error: { reason: Reason.PreparationInvalid, message } };
}

function mirrorsWithAuth({ registries = [] }: HostPreparation): (Named & { readonly endpoint: string })[] {
  return registries.flatMap(({ mirrors }, index) =>
    mirrors.flatMap(({ endpoint, authRef }, place) => {
      const field = `registries[${index}].mirrors[${place}].authRef`;
      return authRef === undefined ? [] : [{ endpoint, name: authRef.name, field }];
    }),
  );
}
