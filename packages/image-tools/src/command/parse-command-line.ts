import { parseArgs } from "node:util";
import type { Checksums } from "../http/checksum.ts";

/** How the command is used. */
export const USAGE = `Usage: polyvisor-image info SRC [--json]
       polyvisor-image check SRC [--json]
       polyvisor-image convert SRC DST --to raw|qcow2|vmdk [--compress deflate|zstd] [--json] [--resume]

SRC is a path or an http or https URL of a disk image of any kind: qcow2, raw, VMDK, VDI, VHD, VHDX or
ISO 9660, also inside gz, xz, zst or bz2. It is recognised by its content.

  --to FORMAT        format of DST; vmdk is streamOptimized
  --compress METHOD  compress a qcow2 image
  --resume           go on with an interrupted conversion of the same image, and keep what is done
                     when this one is interrupted
  --member NAME      which disk of an archive is meant, such as an OVA with several
  --digest           print the SHA-256 of the source and the digest of the disk's content
  --checksum SUM     refuse a source with another digest, as in sha512:HEX; may be repeated for
                     md5, sha1, sha256 and sha512
  --ca FILE          trust the certificate authorities in a PEM file as well
  --json             print one JSON object
  --help             print this

Exit status: 0 well, 2 usage, 3 refused as unsafe, 4 corrupt or truncated, 5 over a limit,
6 reading the source or writing the target failed.
`;

/** What the command is asked to do. */
export type CommandLine =
  | { readonly action: "help" }
  | (CommonOptions & { readonly action: "info" })
  | (CheckOptions & { readonly action: "check" })
  | (CheckOptions & {
      readonly action: "convert";
      readonly target: string;
      readonly to: "raw" | "qcow2" | "vmdk";
      readonly compress: "deflate" | "zstd" | undefined;
      readonly resume: boolean;
    });

interface CheckOptions extends CommonOptions {
  readonly member: string | undefined;
  readonly digest: boolean;
  readonly checksum: Checksums;
}

interface CommonOptions {
  readonly source: string;
  readonly json: boolean;
  readonly caFile: string | undefined;
}

/** Thrown by {@link parseCommandLine}; its message says what is wrong. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Reads the arguments of the command. @throws UsageError. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const { values, positionals } = readArguments(args);
  if (values.help) return { action: "help" };
  const [action, source, target, ...rest] = positionals;
  if (action !== "info" && action !== "check" && action !== "convert") {
    throw new UsageError(
      action === undefined
        ? "say what to do: info, check or convert"
        : `unknown action "${action}"`,
    );
  }
  if (source === undefined || source === "") throw new UsageError(`${action} needs SRC`);
  const common: CommonOptions = { source, json: values.json, caFile: values.ca };
  if (action !== "convert") {
    if (target !== undefined) throw new UsageError(`${action} takes only one SRC`);
    refuseOptions(action, values, ["to", "compress", "resume"]);
    if (action === "info") {
      refuseOptions(action, values, ["member", "digest", "checksum"]);
      return { ...common, action };
    }
    return { ...common, ...checking(values), action };
  }
  if (target === undefined || target === "") throw new UsageError("convert needs SRC and DST");
  if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
  const to = oneOf("--to", values.to, ["raw", "qcow2", "vmdk"]);
  if (to === undefined) throw new UsageError("convert needs --to raw, qcow2 or vmdk");
  const compress = oneOf("--compress", values.compress, ["deflate", "zstd"]);
  if (compress !== undefined && to !== "qcow2") {
    throw new UsageError("only --to qcow2 has a choice of compression");
  }
  const { resume } = values;
  return { ...common, ...checking(values), action, target, to, compress, resume };
}

function refuseOptions(
  action: string,
  values: Parsed["values"],
  options: readonly (keyof Parsed["values"])[],
): void {
  for (const option of options) {
    if (values[option] !== undefined && values[option] !== false) {
      throw new UsageError(`${action} has no option --${option}`);
    }
  }
}

function checking({
  member,
  digest,
  checksum = [],
}: Parsed["values"]): Omit<CheckOptions, keyof CommonOptions> {
  const sums = checksum.map((text) => {
    const [, name, hex] = /^(\w+):([0-9a-f]+)$/i.exec(text) ?? [];
    if (name === undefined || hex === undefined) {
      throw new UsageError(
        `--checksum is an algorithm and digits, as in sha256:HEX, not "${text}"`,
      );
    }
    return [name.toLowerCase(), hex] as const;
  });
  return { member, digest, checksum: Object.fromEntries(sums) };
}

function readArguments(args: readonly string[]): ReturnType<typeof parse> {
  try {
    return parse(args);
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

interface Parsed {
  readonly values: {
    readonly to: string | undefined;
    readonly compress: string | undefined;
    readonly ca: string | undefined;
    readonly member: string | undefined;
    readonly checksum: readonly string[] | undefined;
    readonly resume: boolean;
    readonly digest: boolean;
    readonly json: boolean;
    readonly help: boolean;
  };
  readonly positionals: readonly string[];
}

function parse(args: readonly string[]): Parsed {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      to: { type: "string" },
      compress: { type: "string" },
      ca: { type: "string" },
      member: { type: "string" },
      checksum: { type: "string", multiple: true },
      resume: { type: "boolean", default: false },
      digest: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  const { to, compress, ca, member, checksum, resume, digest, json, help } = values;
  return {
    values: { to, compress, ca, member, checksum, resume, digest, json, help },
    positionals,
  };
}

function oneOf<Value extends string>(
  option: string,
  value: string | undefined,
  allowed: readonly Value[],
): Value | undefined {
  if (value === undefined) return undefined;
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) {
    throw new UsageError(`${option} is one of ${allowed.join(", ")}, not "${value}"`);
  }
  return found;
}
