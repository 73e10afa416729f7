// SPDX-License-Identifier: Apache-2.0
// Whether hosts answer. Counted at the driver, so that a failure of the API server is never taken for one of the host.
import type { HostDriver } from '../../backends/host-driver.ts';
import { errorMessage, TransientError } from '../../runtime/errors.ts';
import type { ProbeSchedule } from './schedule.ts';

/** So many calls in a row without an answer, and the host is Unreachable. */
export const UNREACHABLE_AFTER = 3;

/** What became of the calls to one host in one reconcile. */
export interface Contact {
  readonly driver: HostDriver;
  /** How the last call ended; `none` when there was none. */
  outcome: 'none' | 'answered' | 'unanswered';
  /** Why, when it was not answered. */
  message: string;
  /** Calls without an answer in a row, those of earlier reconciles included. */
  failures(): number;
}

/** Remembers how often each host did not answer in a row. In memory only: after a start it begins anew. */
export interface Contacts {
  /** A driver for one reconcile of the host `key`. */
  open(key: string): Contact;
  forget(key: string): void;
}

export function createContacts(driver: HostDriver, schedule: ProbeSchedule): Contacts {
  const failures = new Map<string, number>();

  return {
    open(key) {
      const contact: Contact = {
        driver: watched(),
        outcome: 'none',
        message: '',
        failures: () => failures.get(key) ?? 0,
      };
      return contact;

      function watched(): HostDriver {
        return {
          probe: async (...call) => {
            const report = await ask(() => driver.probe(...call));
            schedule.probed(key);
            return report;
          },
          bootstrap: (...call) => ask(() => driver.bootstrap(...call)),
          progress: (...call) => ask(() => driver.progress(...call)),
          clean: (...call) => ask(() => driver.clean(...call)),
          finishClean: (...call) => ask(() => driver.finishClean(...call)),
          balance: (...call) => ask(() => driver.balance(...call)),
          preparationHash: (input) => driver.preparationHash(input),
          prepare: (...call) => ask(() => driver.prepare(...call)),
          virtualIP: (...call) => ask(() => driver.virtualIP(...call)),
          reboot: (...call) => ask(() => driver.reboot(...call)),
          releaseKubelet: (...call) => ask(() => driver.releaseKubelet(...call)),
          disconnect: (other) => driver.disconnect(other),
        };
      }

      async function ask<T>(call: () => Promise<T>): Promise<T> {
        try {
          const answer = await call();
          answered();
          return answer;
        } catch (error) {
          // Whoever refuses us, or says when to come again, is there.
          if (error instanceof TransientError && error.retryAfterMs === undefined) unanswered(error);
          else answered();
          throw error;
        }
      }

      function answered(): void {
        failures.delete(key);
        contact.outcome = 'answered';
      }

      function unanswered(error: TransientError): void {
        failures.set(key, contact.failures() + 1);
        contact.outcome = 'unanswered';
        contact.message = errorMessage(error);
      }
    },
    forget: (key) => void failures.delete(key),
  };
}
