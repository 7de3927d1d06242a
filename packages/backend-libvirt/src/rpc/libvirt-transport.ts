import type { Duplex } from "node:stream";

/** Opens the byte stream of a connection. Rejects when the signal fires. */
export type StreamFactory = (options: { readonly signal: AbortSignal }) => Promise<Duplex>;

/** A unix socket of this machine. */
export interface UnixTransport {
  readonly type: "unix";
  /** Sockets to try in this order: the modular daemon's, then the monolithic one's. */
  readonly socketPaths: readonly string[];
}

/** A TLS port of a daemon; both sides are verified. */
export interface TlsTransport {
  readonly type: "tls";
  /** Name or address, which the daemon's certificate must carry. */
  readonly host: string;
  readonly port: number;
  /** Folder with `cacert.pem`, `clientcert.pem` and `clientkey.pem`; default: libvirt's places. */
  readonly pkiPath?: string | undefined;
}

/** The system's `ssh`, and on the other machine a program that leads to the daemon's socket. */
export interface SshTransport {
  readonly type: "ssh";
  readonly host: string;
  /** Default: what ssh's configuration says. */
  readonly port?: number | undefined;
  /** Default: what ssh's configuration says. */
  readonly user?: string | undefined;
  /** File with the private key; default: what ssh's agent and configuration have. */
  readonly keyFile?: string | undefined;
  /**
   * Whether ssh goes by what it knows of host keys. If not (`StrictHostKeyChecking=accept-new`), it
   * takes a host that it does not know yet; one whose key has changed is refused all the same.
   */
  readonly verifiesHost: boolean;
  /** `native` is libvirt's own virt-ssh-helper, `auto` that and netcat where there is none. */
  readonly proxy: "auto" | "native" | "netcat";
  /** Name or path of netcat on the other machine. */
  readonly netcat: string;
  /** Sockets there, for netcat, in order; empty when netcat cannot know where the socket is. */
  readonly socketPaths: readonly string[];
  /** For virt-ssh-helper, which finds the socket that belongs to it. */
  readonly driverUri: string;
  readonly readOnly: boolean;
}

/** How the bytes get to a daemon. */
export type LibvirtTransport = UnixTransport | TlsTransport | SshTransport;
