/** Writes one structured line; the first argument holds the fields. The shape of a pino logger's methods. */
export type LogMethod = (fields: Readonly<Record<string, unknown>>, message: string) => void;

/** Where Polyvisor writes what it does. A pino logger fits as it is. */
export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
}

const discard: LogMethod = () => {};

/** The default: nothing is written. */
export const silentLogger: Logger = {
  debug: discard,
  info: discard,
  warn: discard,
  error: discard,
};
