import type { LayoutValue } from "./layout.ts";

/** The structs that several messages share (remote_protocol.x, `remote_nonnull_*` and others). */
export const structLayouts = {
  domain: { name: "str", uuid: "uuid", id: "i32" },
  network: { name: "str", uuid: "uuid" },
  storagePool: { name: "str", uuid: "uuid" },
  storageVol: { pool: "str", name: "str", key: "str" },
  nodeDevice: { name: "str" },
  secret: { uuid: "uuid", usageType: "i32", usageId: "str" },
  nwfilter: { name: "str", uuid: "uuid" },
  nwfilterBinding: { portDevice: "str", filterName: "str" },
  networkPort: { network: "network", uuid: "uuid" },
  hostInterface: { name: "str", mac: "str" },
  domainSnapshot: { name: "str", domain: "domain" },
  domainCheckpoint: { name: "str", domain: "domain" },
  error: {
    code: "i32",
    domain: "i32",
    message: "str?",
    level: "i32",
    subjectDomain: "domain?",
    str1: "str?",
    str2: "str?",
    str3: "str?",
    int1: "i32",
    int2: "i32",
    subjectNetwork: "network?",
  },
  namedCounter: { field: "str", value: "u64" },
  dhcpLease: {
    interface: "str",
    expiryTime: "i64",
    type: "i32",
    mac: "str?",
    iaid: "str?",
    address: "str",
    prefix: "u32",
    hostname: "str?",
    clientId: "str?",
  },
  memoryStatistic: { tag: "i32", value: "u64" },
  diskError: { disk: "str", error: "i32" },
  securityLabel: { label: "char4<4097>", enforcing: "bool" },
  fileSystem: { mountPoint: "str", name: "str", type: "str", deviceAliases: "str<256>" },
  graphicsAddress: { family: "i32", node: "str", service: "str" },
  graphicsIdentity: { type: "str", name: "str" },
  domainStatsRecord: { domain: "domain", parameters: "tparam<262144>" },
  interfaceAddress: { type: "i32", address: "str", prefix: "u32" },
  domainInterface: {
    name: "str",
    hardwareAddress: "str?",
    addresses: "interfaceAddress<2048>",
  },
} as const;

/** A domain on the wire. The daemon looks it up by `uuid`; `id` is -1 while it does not run. */
export type DomainHandle = LayoutValue<(typeof structLayouts)["domain"]>;

/** A virtual network on the wire. */
export type NetworkHandle = LayoutValue<(typeof structLayouts)["network"]>;

/** A storage pool on the wire. */
export type StoragePoolHandle = LayoutValue<(typeof structLayouts)["storagePool"]>;

/** A storage volume on the wire: the name of its pool, its name and its key. */
export type StorageVolHandle = LayoutValue<(typeof structLayouts)["storageVol"]>;

/** A snapshot on the wire. */
export type DomainSnapshotHandle = LayoutValue<(typeof structLayouts)["domainSnapshot"]>;

/** A checkpoint on the wire. */
export type DomainCheckpointHandle = LayoutValue<(typeof structLayouts)["domainCheckpoint"]>;

/** A device of a host on the wire. */
export type NodeDeviceHandle = LayoutValue<(typeof structLayouts)["nodeDevice"]>;

/** A secret on the wire. */
export type SecretHandle = LayoutValue<(typeof structLayouts)["secret"]>;

/** A network filter on the wire. */
export type NwfilterHandle = LayoutValue<(typeof structLayouts)["nwfilter"]>;

/** The error struct of the wire (virnetprotocol.x `virNetMessageError`). */
export type WireError = LayoutValue<(typeof structLayouts)["error"]>;
