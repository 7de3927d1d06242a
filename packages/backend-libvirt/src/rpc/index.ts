export type { CallOptions, ConnectionLoad } from "./call-queue.ts";
export type { Codec } from "./codec.ts";
export {
  createConnectionPool,
  type ConnectionPool,
  type ConnectionPoolLimits,
  type ConnectionPoolOptions,
  type PoolCallOptions,
} from "./connection-pool.ts";
export {
  openConnection,
  type LibvirtConnection,
  type OpenConnectionOptions,
} from "./connection.ts";
export {
  openConsole,
  type ConsoleStream,
  type ConsoleTarget,
  type OpenConsoleOptions,
} from "./console-stream.ts";
export {
  events,
  type EventDefinition,
  type EventFamily,
  type Events,
} from "./event-definitions.ts";
export type { SubscribeOptions } from "./event-router.ts";
export type { EventItem, EventSubscription } from "./event-subscription.ts";
export type { KeepaliveOptions } from "./keepalive.ts";
export type { Layout, LayoutValue, StructName, TokenValue } from "./layout.ts";
export {
  isAccessDeniedError,
  isAgentUnavailableError,
  isAlreadyExistsError,
  isBusyError,
  isInvalidStateError,
  isInvalidXmlError,
  isLibvirtError,
  isNotFoundError,
  isUnsupportedError,
  LibvirtError,
  type LibvirtErrorCode,
} from "./libvirt-error.ts";
export { parseLibvirtUri, type LibvirtUri, type ParseLibvirtUriOptions } from "./libvirt-uri.ts";
export type { RpcLogger } from "./logger.ts";
export {
  procedures,
  type Procedure,
  type ProcedureArguments,
  type ProcedureName,
  type ProcedurePriority,
  type ProcedureResult,
  type Procedures,
} from "./procedures.ts";
export { isRpcError, RpcError, type RpcErrorCode } from "./rpc-error.ts";
export type {
  SaslCredentials,
  SaslCredentialsProvider,
  SaslCredentialsRequest,
} from "./sasl-credentials.ts";
export { maxStreamChunkBytes, type RpcStream, type StreamItem } from "./stream.ts";
export type {
  DomainCheckpointHandle,
  DomainHandle,
  DomainSnapshotHandle,
  NetworkHandle,
  NodeDeviceHandle,
  NwfilterHandle,
  SecretHandle,
  StoragePoolHandle,
  StorageVolHandle,
  WireError,
} from "./struct-layouts.ts";
export { createStreamFactory, type StreamFactoryOptions } from "./create-stream-factory.ts";
export type {
  LibvirtTransport,
  SshTransport,
  StreamFactory,
  TlsTransport,
  UnixTransport,
} from "./libvirt-transport.ts";
export type { TlsCredentialPlaces } from "./tls-credentials.ts";
export { unixSocketFactory } from "./unix-socket.ts";
export type { TypedParameter } from "./typed-parameter.ts";
export {
  downloadVolume,
  uploadVolume,
  type VolumeTransfer,
  type VolumeTransferOptions,
} from "./volume-stream.ts";
export type { Integer64 } from "./xdr-reader.ts";
