// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { tagsOf } from './tags.ts';

const of = { infrastructureID: 'prod-1', clusterName: 'prod', role: 'node', name: 'm' };

it('tags of the user do not stand for ours, also not those that we did not write', () => {
  const user = [
    { team: 'blue', 'ts-provider/user-data': 'secretsmanager:1:prod/db', 'ts-provider/cluster': 'other' },
    { team: 'red', 'kubernetes.io/cluster/other': 'owned' },
  ];
  expect(tagsOf({ ...of, user })).toEqual({
    ...{ Name: 'm', team: 'red', 'kubernetes.io/cluster/prod': 'owned' },
    ...{ 'ts-provider/cluster': 'prod-1', 'ts-provider/role': 'node' },
  });
});

it('the name of the user wins', () => {
  expect(tagsOf({ ...of, user: [undefined, { Name: 'mine' }] })).toMatchObject({ Name: 'mine' });
});
