// SPDX-License-Identifier: Apache-2.0
// The plain host becomes ready for kubeadm: by a job of its own, which is started once and then asked how far it is.
import type { StateHandler } from '../scope.ts';

export const preparing: StateHandler = async () => {
  throw new Error('not built yet');
};
