import { lookup as resolve, type LookupAddress } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import type { Agent, buildConnector } from "undici";
import { AddressPolicy, isPublicAddress, type AddressClassifier } from "./address-policy.ts";

/** How {@link createHttpDispatcher} connects. */
export interface HttpDispatcherOptions {
  /** PEM certificates of authorities to trust besides those of Node and the system. */
  readonly caBundle?: string | undefined;
  readonly connectTimeoutMs: number;
  /** Connections to one origin at the same time. Default: no limit. */
  readonly connections?: number | undefined;
  /** Whether the first host must have a public address. Default: false. */
  readonly publicOnly?: boolean | undefined;
  /** Default: {@link isPublicAddress}. */
  readonly isPublicAddress?: AddressClassifier | undefined;
}

/**
 * Creates the HTTP client of one source. Each connection is judged by the address that it is about
 * to use, so that a name that resolves differently the second time gains nothing. A host with a
 * public address can never redirect to one that is not public.
 *
 * @throws ImageError `IMAGE_INVALID_ARGUMENT` for a malformed CA bundle.
 */
export async function createHttpDispatcher(
  start: URL,
  options: HttpDispatcherOptions,
): Promise<Agent> {
  const { trustedAuthorities } = await import("./certificate-authorities.ts");
  const ca = trustedAuthorities(options.caBundle);
  const { Agent, buildConnector } = await import("undici");
  const policy = new AddressPolicy(
    bareHost(start.hostname),
    options.publicOnly ?? false,
    options.isPublicAddress ?? isPublicAddress,
  );
  const connect = buildConnector({
    ca,
    timeout: options.connectTimeoutMs,
    lookup: checkedLookup(policy),
  } as buildConnector.BuildOptions);
  return new Agent({
    connect: (target, callback) => {
      const host = bareHost(target.hostname);
      if (isIP(host) !== 0) {
        // No name, no lookup: the address itself must be judged here.
        try {
          policy.check(host, [host]);
        } catch (error) {
          callback(error as Error, null);
          return;
        }
      }
      connect(target, callback);
    },
    ...(options.connections === undefined ? {} : { connections: options.connections }),
    // The stall guard measures silence instead, and not while the reader is busy.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}

function checkedLookup(policy: AddressPolicy): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      try {
        const addresses = found.map(({ address }) => address);
        policy.check(hostname, addresses);
      } catch (refusal) {
        callback(refusal as NodeJS.ErrnoException, []);
        return;
      }
      const [first] = found;
      if (options.all === true || first === undefined) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

function bareHost(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}
