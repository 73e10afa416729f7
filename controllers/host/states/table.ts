// SPDX-License-Identifier: Apache-2.0
// The life of a host: what is done in each state. docs/states/tshost.md draws it.
import type { HostState } from '../../../api/tshost-status.ts';
import type { StateHandler } from '../scope.ts';
import { available } from './available.ts';
import { bootstrapping } from './bootstrapping.ts';
import { claimed } from './claimed.ts';
import { cleaning } from './cleaning.ts';
import { preparing } from './preparing.ts';
import { provisioned } from './provisioned.ts';
import { quarantined } from './quarantined.ts';
import { registering } from './registering.ts';
import { releasing } from './releasing.ts';

/** Every state and its handler. */
export const HANDLERS: Readonly<Record<HostState, StateHandler>> = {
  Registering: registering,
  Available: available,
  Claimed: claimed,
  Preparing: preparing,
  Bootstrapping: bootstrapping,
  Provisioned: provisioned,
  Releasing: releasing,
  Cleaning: cleaning,
  Quarantined: quarantined,
};
