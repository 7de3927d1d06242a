import type { Hypervisor } from "./hypervisor.ts";
import type { Storage } from "./storage.ts";

/** What an adapter package gives to `createPlatform`: a hypervisor, a storage, or both of one system. */
export interface Backend {
  readonly hypervisor?: Hypervisor;
  readonly storage?: Storage;
}
