/** How guests are migrated between hosts. */
export interface LibvirtMigrationOptions {
  /** Encrypts what goes from QEMU to QEMU, with the certificates that `qemu.conf` of the hosts names. Default false. */
  readonly tls?: boolean;
  /** Connections that memory goes over at once, 2 to 255. Default: one connection. */
  readonly parallelConnections?: number;
  /**
   * After so many milliseconds of copying, the guest goes on at the target and fetches the rest of its memory from the
   * source: the migration is sure to end, and a guest that loses one of its hosts before that is lost. Default: never.
   */
  readonly postCopyAfterMilliseconds?: number;
}
