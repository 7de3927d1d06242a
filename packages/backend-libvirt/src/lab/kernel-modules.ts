import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { LabError } from "./lab-error.ts";

/** One kernel module with its file. */
export interface KernelModule {
  /** File name, such as `virtio_net.ko`. */
  readonly fileName: string;
  readonly bytes: Uint8Array;
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
  const modules = new Map<string, KernelModule>();
  const dependencies = new Map<string, readonly string[]>();
  const pending = names.map(moduleName);
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (modules.has(name)) continue;
    const path = paths.get(name);
    if (path === undefined) {
      throw new LabError("LAB_IMAGE_FAILED", `The kernel package has no module ${name}.ko.`);
    }
    const bytes = await readFile(join(folder, path));
    modules.set(name, { fileName: basename(path), bytes });
    dependencies.set(name, moduleDependencies(bytes));
    pending.push(...moduleDependencies(bytes));
  }
  return loadOrder(names.map(moduleName), dependencies).flatMap((name) => modules.get(name) ?? []);
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
