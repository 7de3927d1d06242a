import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { unpackDebianPackages } from "../../src/lab/debian-archive.ts";
import { GUEST_CLOUD_CONFIG_AWK } from "../../src/lab/guest-cloud-config.ts";
import { runChecked } from "../../src/lab/run-command.ts";
import { resolvePackages } from "./resolve-packages.ts";

// The guest's own awk: others differ in bytes, characters and regular expressions.
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "polyvisor-test-"));
  const packages = await resolvePackages(["busybox-static"], () => false);
  await unpackDebianPackages(packages, folder, { downloads: join(folder, "downloads") });
  await writeFile(join(folder, "cloud-config.awk"), GUEST_CLOUD_CONFIG_AWK);
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

async function read(text: string): Promise<ReadonlyMap<string, string>> {
  const awk = ["awk", "-f", join(folder, "cloud-config.awk")];
  const { stdout } = await runChecked(join(folder, "bin/busybox"), awk, { input: text });
  const unescape: Record<string, string> = { "\\\\": "\\", "\\n": "\n", "\\t": "\t" };
  return new Map(
    stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => {
        const tab = line.indexOf("\t");
        const value = line.slice(tab + 1).replaceAll(/\\[\\nt]/g, (pair) => unescape[pair] ?? pair);
        return [line.slice(0, tab), value];
      }),
  );
}

function flatten(value: unknown, path = ""): (readonly [string, string])[] {
  if (typeof value !== "object" || value === null) return [[path, String(value)]];
  return Object.entries(value).flatMap(([key, child]) =>
    flatten(child, path === "" ? key : `${path}/${key}`),
  );
}

test("a document in the usual style", async () => {
  const text = `#cloud-config
# comment
hostname: "web 1"   # trailing
users:
- default
- name: alice
  gecos: 'it''s # no comment'
  lock_passwd: false
  passwd: $6$salt$hash/with.dots
  groups: [ adm, "sudo" ]

-   name: bob
    passwd: "$6$x"
runcmd:
  - [ sh, -c, "echo 'a, b' > /run/x" ]
  - echo plain # comment
  -
    - touch
    - /run/y
  - |
    for i in 1 2; do
      echo $i

    done
empty:
last: yes
`;
  expect([...(await read(text))]).toEqual([
    ["hostname", "web 1"],
    ["users/0", "default"],
    ["users/1/name", "alice"],
    ["users/1/gecos", "it's # no comment"],
    ["users/1/lock_passwd", "false"],
    ["users/1/passwd", "$6$salt$hash/with.dots"],
    ["users/1/groups/0", "adm"],
    ["users/1/groups/1", "sudo"],
    ["users/2/name", "bob"],
    ["users/2/passwd", "$6$x"],
    ["runcmd/0/0", "sh"],
    ["runcmd/0/1", "-c"],
    ["runcmd/0/2", "echo 'a, b' > /run/x"],
    ["runcmd/1", "echo plain"],
    ["runcmd/2/0", "touch"],
    ["runcmd/2/1", "/run/y"],
    ["runcmd/3", "for i in 1 2; do\n  echo $i\n\ndone\n"],
    ["last", "yes"],
  ]);
});

test("meta-data in YAML and in JSON, with Windows line ends, and an empty file", async () => {
  const expected = [
    ["instance-id", "i-1"],
    ["local-hostname", "linux-vm"],
  ];
  expect([...(await read("instance-id: i-1\r\nlocal-hostname: linux-vm\r\n"))]).toEqual(expected);
  expect([...(await read('{"instance-id":"i-1","local-hostname":"linux-vm"}'))]).toEqual(expected);
  expect([...(await read(""))]).toEqual([]);
});

const text = fc.string({
  unit: fc.constantFrom(...Array.from("ab é€😀'\"\\{}[]:,#-\n\t&*!|>%@$`")),
});
const key = fc.stringMatching(/^[a-z_][a-z0-9_-]{0,8}$/);
const document = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    text,
    fc.array(tie("node"), { minLength: 1, maxLength: 3 }),
    fc.dictionary(key, tie("node"), { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
  ),
})).node;
const mapping = fc.dictionary(key, document, { minKeys: 1, maxKeys: 4, noNullPrototype: true });

function blockYaml(value: unknown, indent: string, style: { readonly itemIndent: string }): string {
  if (typeof value === "string") return ` ${JSON.stringify(value)}\n`;
  const lines = Array.isArray(value)
    ? value.map((item) => `${indent}-${blockYaml(item, `${indent}  `, style)}`)
    : Object.entries(value as object).map(([name, item]) => {
        const inner = `${indent}${Array.isArray(item) ? style.itemIndent : "  "}`;
        return `${indent}${name}:${blockYaml(item, inner, style)}`;
      });
  return `\n${lines.join("")}`;
}

test.each([
  ["compact JSON", (value: unknown) => JSON.stringify(value)],
  ["indented JSON", (value: unknown) => JSON.stringify(value, undefined, 2)],
  ["block YAML", (value: unknown) => blockYaml(value, "", { itemIndent: "  " })],
  [
    "block YAML with items under their key",
    (value: unknown) => blockYaml(value, "", { itemIndent: "" }),
  ],
])(
  "any mapping comes through as %s",
  async (_case, write) => {
    await fc.assert(
      fc.asyncProperty(mapping, async (value) => {
        expect([...(await read(`#cloud-config\n${write(value)}\n`))]).toEqual(flatten(value));
      }),
      { numRuns: 150 },
    );
  },
  120_000,
);
