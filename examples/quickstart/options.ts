import { parseArgs } from "node:util";

/** What the quickstart was asked to do. */
export interface QuickstartOptions {
  /** An existing daemon instead of an embedded host. */
  readonly connect: string | undefined;
  /** Leave everything running at the end. */
  readonly keep: boolean;
  /** An image instead of the one that is built. */
  readonly imageUrl: string | undefined;
}

/** The text of `--help`. */
export const USAGE = `npm start [-- OPTIONS]: an image becomes a disk, and the disk a running virtual machine

  --connect URI   use the libvirt daemon at URI, such as qemu:///system,
                  instead of a private one in namespaces of its own
  --keep          leave everything running, and say how to reach and remove it
  --help          show this

  IMAGE_URL=...   take the image from there instead of building a small one`;

/**
 * Reads the command line.
 *
 * @throws an error that names the option when one is not known or lacks its value.
 */
export function readOptions(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): QuickstartOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      connect: { type: "string" },
      keep: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  return {
    connect: values.connect,
    keep: values.keep,
    imageUrl: environment["IMAGE_URL"] || undefined,
  };
}
