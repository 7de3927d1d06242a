import { layoutCodec, type Codec } from "./codec.ts";
import { libvirtErrorNames } from "./libvirt-error-codes.ts";
import { structLayouts, type WireError } from "./struct-layouts.ts";
import { XdrReader } from "./xdr-reader.ts";

type ErrorNames = typeof libvirtErrorNames;

/** Stable code of a {@link LibvirtError}; a number without a known name gives `LIBVIRT_ERROR_n`. */
export type LibvirtErrorCode =
  `LIBVIRT_${ErrorNames[keyof ErrorNames]}` | `LIBVIRT_ERROR_${number}`;

/** The codec of the error struct. */
export const wireErrorCodec: Codec<WireError> = layoutCodec(
  structLayouts.error,
) as Codec<WireError>;

const brand: unique symbol = Symbol.for("@polyvisor/backend-libvirt/LibvirtError");

/** An error that the daemon reported for a call or a stream. */
export class LibvirtError extends Error {
  override readonly name: string = "LibvirtError";
  /** Stable code, such as `LIBVIRT_NO_DOMAIN`. */
  readonly code: LibvirtErrorCode;
  /** The number of virterror.h `virErrorNumber`. */
  readonly number: number;
  /** The part of libvirt that failed (virterror.h `virErrorDomain`), such as 10 for QEMU. */
  readonly domain: number;
  /** Everything that the daemon sent; `str1` is the untranslated format, `int1` often an errno. */
  readonly fields: WireError;
  /** @internal */
  readonly [brand]: true = true;

  /**
   * @param procedure - Name of the procedure that failed; becomes part of the message.
   */
  constructor(fields: WireError, procedure?: string) {
    const text = fields.message ?? `libvirt error ${fields.code}`;
    super(procedure === undefined ? text : `${procedure} failed: ${text}`);
    this.code = libvirtErrorCode(fields.code);
    this.number = fields.code;
    this.domain = fields.domain;
    this.fields = fields;
  }
}

/** Whether a value is a {@link LibvirtError}, also one of another copy of this package. */
export function isLibvirtError(value: unknown): value is LibvirtError {
  return typeof value === "object" && value !== null && brand in value;
}

/** Decodes the payload of an error reply; throws `RPC_PROTOCOL` when it holds no error struct. */
export function readLibvirtError(payload: Uint8Array, procedure: string): LibvirtError {
  return new LibvirtError(wireErrorCodec.read(new XdrReader(payload)), procedure);
}

function libvirtErrorCode(number: number): LibvirtErrorCode {
  const name = (libvirtErrorNames as Readonly<Record<number, ErrorNames[keyof ErrorNames]>>)[
    number
  ];
  return name === undefined ? `LIBVIRT_ERROR_${number}` : `LIBVIRT_${name}`;
}

// libvirt may report a more specific number for the same failure in a later release, so callers
// ask for a kind of failure and each kind is a set of numbers.
const notFound = new Set([42, 43, 49, 50, 53, 57, 62, 66, 72, 80, 99, 103, 104]);
const alreadyExists = new Set([28, 37, 90]);
const unsupported = new Set([3, 67, 74, 84]);
const busy = new Set([68, 83, 87]);
const denied = new Set([29, 45, 79, 88, 94]);
const agent = new Set([86, 97]);
const invalidXml = new Set([27, 92]);

function inSet(error: unknown, numbers: ReadonlySet<number>): error is LibvirtError {
  return isLibvirtError(error) && numbers.has(error.number);
}

/** Whether the daemon knows no such domain, network, pool, volume, device, snapshot or metadata. */
export function isNotFoundError(error: unknown): error is LibvirtError {
  return inSet(error, notFound);
}

/** Whether an object of that name or identifier is there already. */
export function isAlreadyExistsError(error: unknown): error is LibvirtError {
  return inSet(error, alreadyExists);
}

/** Whether the daemon, driver or hypervisor cannot do this, including calls newer than the daemon. */
export function isUnsupportedError(error: unknown): error is LibvirtError {
  if (inSet(error, unsupported)) return true;
  return isLibvirtError(error) && error.number === 39 && /unknown procedure/.test(error.message);
}

/** Whether something else holds the object; the same call may succeed later. */
export function isBusyError(error: unknown): error is LibvirtError {
  return inSet(error, busy);
}

/** Whether the object is in a state that does not allow the call. */
export function isInvalidStateError(error: unknown): error is LibvirtError {
  return isLibvirtError(error) && error.number === 55;
}

/** Whether the connection may not do this: read-only, not authenticated or refused by policy. */
export function isAccessDeniedError(error: unknown): error is LibvirtError {
  return inSet(error, denied);
}

/** Whether the guest agent is absent or does not answer. */
export function isAgentUnavailableError(error: unknown): error is LibvirtError {
  return inSet(error, agent);
}

/** Whether the XML that was given is malformed or against the schema. */
export function isInvalidXmlError(error: unknown): error is LibvirtError {
  return inSet(error, invalidXml);
}
