// SPDX-License-Identifier: Apache-2.0
// The filters of an EC2 describe call, read and written back.

export interface Filter {
  readonly name: string;
  readonly values: readonly string[];
}

/** `Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1` -> one filter. */
export function readFilters(params: URLSearchParams): Filter[] {
  const filters: Filter[] = [];
  for (let index = 1; ; index++) {
    const name = params.get(`Filter.${index}.Name`);
    if (name === null) return filters;
    filters.push({ name, values: readValues(params, index) });
  }
}

function readValues(params: URLSearchParams, filter: number): string[] {
  const values: string[] = [];
  for (let index = 1; ; index++) {
    const value = params.get(`Filter.${filter}.Value.${index}`);
    if (value === null) return values;
    values.push(value);
  }
}

/** The parameters with these filters in place of their own. */
export function withFilters(params: URLSearchParams, filters: readonly Filter[]): URLSearchParams {
  const others = [...params].filter(([name]) => !name.startsWith('Filter.'));
  const written = filters.flatMap(({ name, values }, index): [string, string][] => [
    [`Filter.${index + 1}.Name`, name],
    ...values.map((value, at): [string, string] => [`Filter.${index + 1}.Value.${at + 1}`, value]),
  ]);
  return new URLSearchParams([...others, ...written]);
}

/** The parameters of a question with filters. */
export function filterParams(filters: Readonly<Record<string, string>>): Record<string, string> {
  const list = Object.entries(filters).map(([name, value]) => ({ name, values: [value] }));
  return Object.fromEntries(withFilters(new URLSearchParams(), list));
}

/** Whether a value matches one of a filter's, where `*` and `?` stand for characters. */
export function matchesFilter(value: string, { values }: Filter): boolean {
  return values.some((pattern) => {
    const source = pattern
      .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    return new RegExp(`^${source}$`, 's').test(value);
  });
}
