import type { Scenario } from './scenario.ts';
export const generated: readonly Scenario[] = [];
