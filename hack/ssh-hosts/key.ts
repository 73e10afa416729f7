// SPDX-License-Identifier: Apache-2.0
import ssh2 from 'ssh2';

/** A new Ed25519 key: private in OpenSSH's form, public as `<type> <base64>`. */
export interface Key {
  readonly private: string;
  readonly public: string;
}

/** ssh2 1.17 cannot read one of some 250 keys that it makes itself: another one is made then. */
export function newKey(): Key {
  for (;;) {
    const made = ssh2.utils.generateKeyPairSync('ed25519');
    const isReadable = !(ssh2.utils.parseKey(made.private) instanceof Error);
    if (isReadable) return { private: made.private, public: made.public.split(' ').slice(0, 2).join(' ') };
  }
}
