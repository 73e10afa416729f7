// SPDX-License-Identifier: Apache-2.0
// The label by which core finds what belongs to a MachinePool (IMP-7).

const LABEL_VALUE = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;

/** The value of the pool-name label: the name, or a hash of one that is no label value, as core makes it. */
export function poolNameLabel(machinePool: string): string {
  if (LABEL_VALUE.test(machinePool)) return machinePool;
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(fnv32a(machinePool));
  return `hash_${bytes.toString('base64url')}_z`;
}

/** FNV-1a of the UTF-8 bytes, 32 bits. */
function fnv32a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
