import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildGuestImage, startEmbeddedHost } from "@polyvisor/backend-libvirt/lab";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const timeout = 300_000;
const pages = (await readdir(join(root, "docs"))).map((name) => join("docs", name));

/** A folder inside the repository, so that the programs find its packages as a user's would. */
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(root, "examples", ".documents-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** The TypeScript examples of a page. */
async function examples(page: string): Promise<string[]> {
  const text = await readFile(join(root, page), "utf8");
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code);
}

async function save(name: string, code: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, code);
  return path;
}

describe("the pages for implementers", () => {
  it.each(pages)("%s has examples that run", { timeout }, async (page) => {
    for (const [index, code] of (await examples(page)).entries()) {
      const path = await save(`${page.replaceAll("/", "-")}-${index}.ts`, code);
      const run = promisify(execFile)(process.execPath, ["--conditions=@polyvisor/source", path]);
      const { stdout } = await run;
      expect(stdout.trim()).not.toBe("");
      expect(stdout).not.toMatch(/^failed/m);
    }
  });

  it("have an example for each port", async () => {
    const counts = await Promise.all(
      pages.map(async (page) => [page, (await examples(page)).length]),
    );
    expect(Object.fromEntries(counts)).toEqual({
      "docs/errors.md": 0,
      "docs/fencing.md": 1,
      "docs/hypervisor.md": 1,
      "docs/image-store.md": 1,
      "docs/machines.md": 0,
      "docs/minimal-backend.md": 1,
      "docs/resource-store.md": 1,
      "docs/resources.md": 1,
      "docs/storage.md": 1,
    });
  });
});

describe("the README", () => {
  it("has a first program that runs as it is written", { timeout }, async () => {
    const [program = "", ...others] = await examples("README.md");
    expect(others).toEqual([]);
    const path = await save("first.ts", program);
    const { path: image } = await buildGuestImage();
    // Inside of the host its daemon is the machine's: qemu:///system. The image is served there too.
    await using host = await startEmbeddedHost();
    const server = await save(
      "server.ts",
      `import { createReadStream } from "node:fs";
       import { createServer } from "node:http";
       createServer((_, response) => createReadStream(${JSON.stringify(image)}).pipe(response)).listen(8080, "127.0.0.1");`,
    );
    const ending = new AbortController();
    const serving = host.run(process.execPath, [server], { signal: ending.signal }).catch(() => {});
    try {
      const { stdout, stderr, exitCode } = await host.run(
        process.execPath,
        ["--conditions=@polyvisor/source", path],
        {
          directory,
          environment: { ...process.env, IMAGE_URL: "http://127.0.0.1:8080/guest.qcow2" },
        },
      );
      expect(stderr).toBe("");
      expect(stdout).toBe("web runs on node-1 at 10.66.10.2\n");
      expect(exitCode).toBe(0);
    } finally {
      ending.abort();
      await serving;
    }
    const domains = await host.run("virsh", ["list", "--all", "--name"]);
    expect(domains.stdout.trim()).toBe("");
  });
});
