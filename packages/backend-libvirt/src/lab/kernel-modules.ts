import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { LabError } from "./lab-error.ts";

const SIGNATURE_MARKER = "~Module signature appended~\n";
const SIGNATURE_INFORMATION_BYTES = 12;

/** One kernel module with its file. */
export interface KernelModule {
  /** File name, such as `virtio_net.ko`. */
  readonly fileName: string;
  /** The module without its signature, which costs time at every load and which nothing here demands. */
  readonly bytes: Uint8Array;
  /** File names of everything that must be loaded before it, in an order in which that works. */
  readonly dependencies: readonly string[];
}

/**
 * Reads modules and everything that they depend on, in an order in which each can be loaded.
 *
 * @param folder the `kernel` folder of a kernel's modules.
 * @throws LabError `LAB_IMAGE_FAILED` when a module is not there.
 */
export async function readKernelModules(
  folder: string,
  names: readonly string[],
): Promise<readonly KernelModule[]> {
  const files = await readdir(folder, { recursive: true });
  const paths = new Map(
    files.filter((file) => file.endsWith(".ko")).map((file) => [moduleName(file), file]),
  );
  const modules = new Map<string, Omit<KernelModule, "dependencies">>();
  const dependencies = new Map<string, readonly string[]>();
  const pending = names.map(moduleName);
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (modules.has(name)) continue;
    const path = paths.get(name);
    if (path === undefined) {
      throw new LabError("LAB_IMAGE_FAILED", `The kernel package has no module ${name}.ko.`);
    }
    const bytes = await readFile(join(folder, path));
    modules.set(name, { fileName: basename(path), bytes: withoutSignature(bytes) });
    dependencies.set(name, moduleDependencies(bytes));
    pending.push(...moduleDependencies(bytes));
  }
  const inOrder = (wanted: readonly string[]): readonly string[] => loadOrder(wanted, dependencies);
  return inOrder(names.map(moduleName)).flatMap((name) => {
    const module = modules.get(name);
    if (module === undefined) return [];
    const before = inOrder([name]).slice(0, -1);
    const fileNames = before.flatMap((dependency) => modules.get(dependency)?.fileName ?? []);
    return [{ ...module, dependencies: fileNames }];
  });
}

/** The text of `modules.dep` (depmod(8)) for modules that lie in one folder with it. */
export function modulesDependencyFile(modules: readonly KernelModule[]): string {
  // What is to be loaded first stands last.
  const line = ({ fileName, dependencies }: KernelModule): string =>
    [`${fileName}:`, ...dependencies.toReversed()].join(" ");
  return modules.map((module) => `${line(module)}\n`).join("");
}

/**
 * A module without the signature that is appended to it, if there is one (Linux,
 * include/linux/module_signature.h: signature, `struct module_signature`, marker).
 */
export function withoutSignature(module: Uint8Array): Uint8Array {
  const buffer = Buffer.from(module.buffer, module.byteOffset, module.byteLength);
  const end = buffer.length - SIGNATURE_MARKER.length - SIGNATURE_INFORMATION_BYTES;
  if (end < 0 || buffer.toString("latin1", end + SIGNATURE_INFORMATION_BYTES) !== SIGNATURE_MARKER)
    return module;
  const signatureBytes = buffer.readUInt32BE(end + SIGNATURE_INFORMATION_BYTES - 4);
  return signatureBytes > end ? module : module.subarray(0, end - signatureBytes);
}

/** What a module depends on, out of the `depends` entry of its .modinfo section; normalised names. */
export function moduleDependencies(module: Uint8Array): readonly string[] {
  const text = Buffer.from(module.buffer, module.byteOffset, module.byteLength).toString("latin1");
  const depends = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? "";
  return depends
    .split(",")
    .filter((name) => name !== "")
    .map(moduleName);
}

/**
 * Names in an order in which every name comes after what it depends on, each once.
 *
 * @throws LabError `LAB_IMAGE_FAILED` when names depend on one another in a circle.
 */
export function loadOrder(
  names: readonly string[],
  dependencies: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const order = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    if (order.has(name)) return;
    if (path.includes(name)) {
      throw new LabError(
        "LAB_IMAGE_FAILED",
        `Modules depend in a circle: ${[...path, name].join(", ")}`,
      );
    }
    for (const dependency of dependencies.get(name) ?? []) visit(dependency, [...path, name]);
    order.add(name);
  };
  for (const name of names) visit(name, []);
  return [...order];
}

// The kernel takes - and _ in a module's name for the same character.
function moduleName(file: string): string {
  return basename(file, ".ko").replaceAll("-", "_");
}
