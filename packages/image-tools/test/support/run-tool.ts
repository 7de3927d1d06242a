import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execFileAsync = promisify(execFile);

const PACKAGES: Readonly<Record<string, string>> = {
  "qemu-img": "qemu-utils",
  "qemu-io": "qemu-utils",
  isoinfo: "genisoimage",
  losetup: "mount",
  openssl: "openssl",
  xmllint: "libxml2-utils",
  "docker-registry": "docker-registry",
};

/** Runs a system tool; fails with the Debian package to install when it is missing. */
export async function runTool(tool: string, ...args: readonly string[]): Promise<Buffer> {
  try {
    const { stdout } = await execFileAsync(tool, args, {
      encoding: "buffer",
      maxBuffer: 256 * 1024 * 1024,
    });
    return stdout;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") {
      throw new Error(`this test needs "${tool}" (Debian package ${PACKAGES[tool] ?? tool})`, {
        cause,
      });
    }
    throw cause;
  }
}
