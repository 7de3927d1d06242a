/** What a daemon asks credentials for. */
export interface SaslCredentialsRequest {
  /** The mechanism, such as `SCRAM-SHA-256`; the password itself is never sent with it. */
  readonly mechanism: string;
  /** Fires when the connection is given up. */
  readonly signal: AbortSignal;
}

/** Who this client is to SASL. */
export interface SaslCredentials {
  readonly username: string;
  readonly password: string;
}

/** Gives the credentials when a daemon asks; called for each connection. */
export type SaslCredentialsProvider = (
  request: SaslCredentialsRequest,
) => SaslCredentials | Promise<SaslCredentials>;
