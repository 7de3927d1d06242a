/** How a host is joined to the network of a lab. */
export interface HostLink {
  /** The host's address on the network, where its daemon listens. */
  readonly address: string;
  /** Addresses of all hosts of the lab by name, this one included. */
  readonly names: Readonly<Record<string, string>>;
  /** Where all hosts keep the locks of disks; below no folder that is hidden inside a host. */
  readonly lockDirectory: string;
  /** Joins the namespaces of this process to the network. */
  connect(pid: number, signal: AbortSignal): Promise<void>;
}
