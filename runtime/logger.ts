// SPDX-License-Identifier: Apache-2.0
import { pino } from 'pino';
import { redact, redactText } from './redact.ts';

/** Writes one line at one level. Kind keys are UpperCamel (`Machine: 'ns/name'`), others lowerCamel, an error goes under `err`. */
export interface LogMethod {
  (message: string): void;
  (fields: object, message: string): void;
}

/** What the code logs with. Nothing that goes in comes out with a secret in it (invariant 10, redact.ts). */
export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  /** A logger that adds these fields to each line; fields that are `undefined` are left out. */
  child(fields: object): Logger;
}

/** The levels that `--log-level` takes; `silent` writes nothing. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Standard output when absent; written synchronously, so that the line before an exit is not lost. */
  readonly destination?: { write(line: string): void };
}

/** A logger of JSON lines: `level` as a word, `time` in RFC 3339, `msg`. */
export function createLogger(options: LoggerOptions): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    // redact.ts has turned errors into plain objects already; the built-in serializer would look for more.
    serializers: { err: (error: unknown) => error },
  };
  return wrap(pino(settings, options.destination ?? pino.destination({ fd: 1, sync: true })));
}

/** pino's own redaction knows fixed paths of a known depth and leaves messages alone; hence the wrapper around every way in. */
function wrap(inner: pino.Logger): Logger {
  return {
    debug: method(inner, 'debug'),
    info: method(inner, 'info'),
    warn: method(inner, 'warn'),
    error: method(inner, 'error'),
    child: (fields) => wrap(inner.child(redact(fields))),
  };
}

function method(inner: pino.Logger, level: 'debug' | 'info' | 'warn' | 'error'): LogMethod {
  const write = inner[level].bind(inner) as (fields: object, message: string) => void;
  return (first: string | object, message?: string) => {
    if (!inner.isLevelEnabled(level)) return;
    if (typeof first === 'string') write({}, redactText(first));
    else write(redact(first), redactText(message ?? ''));
  };
}
