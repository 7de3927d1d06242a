/** Receives what the client has to say about itself; `console` fits. */
export interface RpcLogger {
  /** Something that helps to understand a failure, such as a tolerated odd message. */
  debug(message: string): void;
  /** Something an operator should know, such as a connection that was lost. */
  warn(message: string): void;
}

/** A logger that discards everything; the default. */
export const silentLogger: RpcLogger = { debug() {}, warn() {} };
