// SPDX-License-Identifier: Apache-2.0

/** Runs `work` once for all who ask for the same key while it runs. */
export type SingleFlight<T> = (key: string, work: () => Promise<T>) => Promise<T>;

/** A wave of machines asks for the same Secret in the same moment: one of them asks the API server, the others share its answer. */
export function singleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Promise<T>>();
  return (key, work) => {
    const flying = flights.get(key);
    if (flying !== undefined) return flying;
    const flight = work().finally(() => flights.delete(key));
    flights.set(key, flight);
    return flight;
  };
}
