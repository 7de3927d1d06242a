import { PolyvisorError } from "@polyvisor/core";
import type { LibvirtHost } from "./libvirt-host.ts";

/** The hosts of a backend. Hypervisor and storage share them; the last one to let go closes the connections. */
export class HostSet {
  readonly #hosts: ReadonlyMap<string, LibvirtHost>;
  #holders = 0;

  constructor(hosts: readonly LibvirtHost[]) {
    this.#hosts = new Map(hosts.map((host) => [host.name, host]));
  }

  all(): LibvirtHost[] {
    return [...this.#hosts.values()];
  }

  has(name: string): boolean {
    return this.#hosts.has(name);
  }

  /** @throws `POLYVISOR_REFUSED` when there is no such host. */
  get(name: string): LibvirtHost {
    const host = this.#hosts.get(name);
    if (host) return host;
    throw new PolyvisorError("POLYVISOR_REFUSED", `there is no host ${JSON.stringify(name)}`);
  }

  async open(signal: AbortSignal): Promise<void> {
    this.#holders += 1;
    await Promise.all(this.all().map((host) => host.open(signal)));
  }

  async release(): Promise<void> {
    this.#holders -= 1;
    if (this.#holders > 0) return;
    await Promise.all(this.all().map((host) => host[Symbol.asyncDispose]()));
  }
}
