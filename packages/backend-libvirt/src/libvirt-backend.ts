import { type Backend, type Logger, PolyvisorError } from "@polyvisor/core";
import { HostSet } from "./host/host-set.ts";
import { LibvirtHost } from "./host/libvirt-host.ts";
import type { SaslCredentialsProvider } from "./rpc/sasl-credentials.ts";
import { LibvirtHypervisor } from "./libvirt-hypervisor.ts";
import { MigrationBook } from "./migration/migration-book.ts";
import type { LibvirtMigrationOptions } from "./migration/migration-options.ts";
import { LibvirtStorage } from "./libvirt-storage.ts";
import { checkNetworks, type LibvirtNetwork } from "./network/network-settings.ts";
import {
  checkStorageClasses,
  type LibvirtStorageClass,
  poolSettings,
} from "./storage/storage-class.ts";

/** One host. */
export interface LibvirtHostConfiguration {
  /** A libvirt URI, such as `qemu:///system`. */
  readonly uri: string;
  /** Labels of the host's Node. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Asked for each connection when the daemon wants SASL. Default: such a daemon cannot be used. */
  readonly saslCredentials?: SaslCredentialsProvider;
  /**
   * The libvirt URI by which the daemons of the other hosts reach this host's daemon, such as
   * `qemu+tls://node-2/system`; guests are migrated that way. Default: none are migrated to this host.
   */
  readonly peerUri?: string;
}

/** What a libvirt backend is made with. */
export interface LibvirtBackendOptions {
  /** Hosts by the names that their Nodes get; a URI alone stands for a host without labels. At least one. */
  readonly hosts: Readonly<Record<string, string | LibvirtHostConfiguration>>;
  /** Default `libvirt`; tells backends apart. */
  readonly name?: string;
  /**
   * The StorageClasses of the volumes, and the pools where they are kept. Default: one class `local` with a pool of our
   * own, which is made with the first volume and removed with the last.
   */
  readonly storageClasses?: readonly LibvirtStorageClass[];
  /** What hosts make of the platform's ranges. Default: networks with address translation. */
  readonly networks?: readonly LibvirtNetwork[];
  /** How guests are migrated between hosts that have a `peerUri`. */
  readonly migration?: LibvirtMigrationOptions;
  /** Told when connections are lost. Default: nobody. */
  readonly logger?: Logger;
}

/** A libvirt backend: always both a hypervisor and a storage. */
export interface LibvirtBackend extends Backend {
  readonly hypervisor: LibvirtHypervisor;
  readonly storage: LibvirtStorage;
}

const DEFAULT_CLASSES: readonly LibvirtStorageClass[] = [
  { name: "local", pool: { type: "own" }, isDefault: true },
];

const discard = (): void => {};
const silent: Logger = { debug: discard, info: discard, warn: discard, error: discard };

/**
 * Runs guests and keeps their volumes on libvirt hosts.
 *
 * @throws `POLYVISOR_INVALID` without hosts, or for storage classes that cannot be told apart; `RPC_INVALID_URI`, `RPC_UNSUPPORTED_TRANSPORT` for a URI that cannot be
 *   used. Hosts that do not answer are no error: they are tried again for as long as the backend is open.
 */
export function libvirtBackend(options: LibvirtBackendOptions): LibvirtBackend {
  const {
    name = "libvirt",
    storageClasses = DEFAULT_CLASSES,
    migration = {},
    networks = [],
    logger = silent,
  } = options;
  const configured = Object.entries(options.hosts);
  if (configured.length === 0) {
    throw new PolyvisorError(
      "POLYVISOR_INVALID",
      "hosts: name at least one host with its libvirt URI",
    );
  }
  checkStorageClasses(storageClasses);
  checkNetworks(networks);
  const pools = new Map(storageClasses.map((each) => [each.name, poolSettings(each)]));
  const book = new MigrationBook();
  const hosts = new HostSet(
    configured.map(([hostName, configuration]) => {
      const given: LibvirtHostConfiguration =
        typeof configuration === "string" ? { uri: configuration } : configuration;
      const { uri, labels = {}, saslCredentials, peerUri } = given;
      return new LibvirtHost({
        name: hostName,
        uri,
        labels,
        pools,
        saslCredentials,
        peerUri,
        migrations: book,
        networks,
        logger,
      });
    }),
  );
  return {
    hypervisor: new LibvirtHypervisor(name, hosts, { book, options: migration }),
    storage: new LibvirtStorage(`${name}-pool`, storageClasses, hosts),
  };
}
