import assert from "node:assert/strict";
import {
  type AppliedResource,
  type Kind,
  type Kinds,
  resourceTable,
  type ResourceTable,
  type VirtualMachineOperationSpec,
} from "@polyvisor/core";
import { parse } from "yaml";
import type { World } from "../support/world.ts";
import { type PrintedTable, readTable } from "./printed-table.ts";
import { type Difference, NEWER_COLUMNS, type Step } from "./step.ts";

/** Kinds by the names that the guides use. */
const KIND_NAMES: Readonly<Record<string, Kind>> = {
  clustervirtualimage: "ClusterVirtualImage",
  cvi: "ClusterVirtualImage",
  mc: "ModuleConfig",
  nodes: "Node",
  storageclass: "StorageClass",
  vd: "VirtualDisk",
  vdsnapshot: "VirtualDiskSnapshot",
  vi: "VirtualImage",
  virtualimage: "VirtualImage",
  virtualmachineclass: "VirtualMachineClass",
  virtualmachineoperation: "VirtualMachineOperation",
  vm: "VirtualMachine",
  vmbda: "VirtualMachineBlockDeviceAttachment",
  vmclass: "VirtualMachineClass",
  vmip: "VirtualMachineIPAddress",
  vmipl: "VirtualMachineIPAddressLease",
  vmop: "VirtualMachineOperation",
  volumesnapshotclasses: "VolumeSnapshotClass",
};

const OPERATIONS: Readonly<Record<string, VirtualMachineOperationSpec["type"]>> = {
  restart: "Restart",
  migrate: "Migrate",
};

/** Carries out the commands of a guide. */
export class Shell {
  readonly #world: World;
  #drained = "";

  constructor(world: World) {
    this.#world = world;
  }

  /** @throws when a command does not do what the guide shows. */
  async run(step: Step): Promise<void> {
    const command = await this.#filledIn(step.command);
    const input = step.input === undefined ? undefined : await this.#filledIn(step.input);
    if (step.refused) {
      await assert.rejects(this.#do(command, input, step), { message: step.refused.message });
      return;
    }
    await this.#do(command, input, step);
  }

  async #do(command: string, input: string | undefined, step: Step): Promise<void> {
    const [verb = "", ...words] = command.split(" ");
    const { platform } = this.#world;
    switch (verb) {
      case "apply":
      case "create":
        await platform.apply(input ?? "");
        return;
      case "get":
        if (command.includes("jsonpath=")) await this.#getPath(words, step);
        else if (words.includes("jq")) await this.#cpuModels(words[1] ?? "", step);
        else if (words.includes("-w")) await this.#watch(words, step);
        else await this.#get(words, step);
        return;
      case "describe":
        await this.#client(words[0]).get(words[1] ?? "");
        return;
      case "patch": {
        const json = /(?:-p|--patch) '(.*)'/.exec(command)?.[1] ?? "";
        await this.#client(words[0]).patch(words[1] ?? "", JSON.parse(json) as object as never);
        return;
      }
      case "edit":
        await this.#client(words[0]).patch(words[1] ?? "", parse(input ?? "") as never);
        // As long as somebody takes who looks what has come of it.
        await this.#world.center.clock.advance(120_000);
        return;
      case "label": {
        const [key = "", value] = (words[2] ?? "").split("=");
        const patch = { metadata: { labels: { [key]: value } } };
        await this.#client(words[0]).patch(words[1] ?? "", patch);
        return;
      }
      case "delete":
        await this.#delete(words);
        return;
      case "curl":
        await this.#upload(input ?? "");
        return;
      case "console":
      case "vnc":
        await this.#console(verb, words[0] ?? "", step);
        return;
      case "ssh":
        await this.#ssh(command, step);
        return;
      case "restart":
      case "migrate":
        await this.#operate(OPERATIONS[verb] ?? "Restart", words[0] ?? "");
        return;
      case "drain":
        await this.#drain(words[0] ?? "");
        return;
      case "uncordon":
        await platform.nodes.patch(words[0] ?? "", {
          spec: { unschedulable: false },
          metadata: { annotations: { "virtualization.deckhouse.io/drain": null } },
        });
        return;
      default:
        assert.fail(`the shell does not know ${verb}`);
    }
  }

  async #get(words: readonly string[], step: Step): Promise<void> {
    const [names = "", name] = words.filter((word) => !word.startsWith("-") && word !== "wide");
    const wide = words.includes("wide");
    const kinds = names.split(",");
    const expected = (step.prints ?? "").trim().split(/\n\s*\n/);
    let seen = "";
    await this.#world
      .until("the table", async () => {
        seen = "";
        for (const [index, kind] of kinds.entries()) {
          const table = await this.#table(kind, name, wide, kinds.length > 1);
          if (step.prints === undefined) return true;
          const newer = NEWER_COLUMNS[this.#kind(kind)] ?? [];
          const problem = compare(readTable(expected[index] ?? ""), table, step, newer);
          seen += `${problem ?? ""}\n${[table.columns, ...table.rows].map((row) => row.join(" | ")).join("\n")}\n`;
          if (problem !== undefined) return false;
        }
        return true;
      })
      .catch(async () => {
        const { items } = await this.#client(kinds[0]).list();
        const found = items.find(({ metadata }) => metadata.name === name) ?? items.at(-1);
        const conditions = JSON.stringify((found as Kinds["VirtualMachine"])?.status?.conditions);
        assert.fail(`not as the guide shows it: ${seen}\n${conditions}`);
      });
  }

  /** The rows that change, until the last one of the guide is there. */
  async #watch(words: readonly string[], step: Step): Promise<void> {
    const [kindName = "", name] = words.filter((word) => !word.startsWith("-"));
    const expected = readTable((step.prints ?? "").trim());
    const wanted = withDifferences(expected, step.differs ?? []);
    const kind = this.#kind(kindName);
    const ending = new AbortController();
    const rows: string[][] = [];
    const { columns } = await this.#table(kindName, name, false, false);
    const note = (resource: Kinds[Kind]): void => {
      const now = this.#world.center.clock.now();
      const table = resourceTable(kind, [resource as never], { now });
      const row = expected.columns.map(
        (column) => table.rows[0]?.[table.columns.indexOf(column)] ?? "",
      );
      row[expected.columns.indexOf("AGE")] = "";
      if (row.join("|") !== rows.at(-1)?.join("|")) rows.push(row);
    };
    const { items } = await this.#client(kindName).list();
    for (const item of items) if (name === undefined || item.metadata.name === name) note(item);
    const events = this.#world.platform.client(kind).watch({ signal: ending.signal });
    const following = (async () => {
      for await (const { resource } of events)
        if (name === undefined || resource.metadata.name === name) note(resource);
    })();
    const phaseAt = expected.columns.indexOf("PHASE");
    const phases = (all: readonly (readonly (string | RegExp)[])[]): string[] =>
      all
        .map((row) => String(row[phaseAt]))
        .filter((each, index, list) => each !== list[index - 1]);
    const last = String(wanted.at(-1)?.[phaseAt]);
    const arrived = this.#world.until(
      "the last row",
      () => rows.length > 1 && rows.at(-1)?.[phaseAt] === last,
    );
    await arrived.catch(() =>
      assert.fail(`the last row never came: ${rows.map((row) => row.join(" | ")).join("\n")}`),
    );
    ending.abort();
    await following;
    assert.deepEqual(phases(rows), phases(wanted), `other phases in ${columns.join(" ")}`);
    checkProgress(expected, rows);
    const nodeAt = expected.columns.indexOf("NODE");
    if (nodeAt >= 0)
      assert.notEqual(rows.at(-1)?.[nodeAt], rows[0]?.[nodeAt], "the node is the same");
    wanted.at(-1)?.forEach((cell, index) => {
      if (expected.columns[index] === "AGE") return;
      assert.ok(
        fits(cell, rows.at(-1)?.[index] ?? ""),
        `${expected.columns[index]}: ${rows.at(-1)?.[index]}`,
      );
    });
  }

  async #getPath(words: readonly string[], step: Step): Promise<void> {
    const path = /jsonpath="\{\.(.*)\}"/.exec(words.join(" "))?.[1] ?? "";
    const wanted = (step.prints ?? "").trim();
    const read = async (): Promise<unknown> => {
      let value: unknown = await this.#client(words[0]).get(words[1] ?? "");
      for (const part of path.split("."))
        value = typeof value === "object" && value !== null ? Reflect.get(value, part) : undefined;
      return value;
    };
    let seen: unknown;
    await this.#world
      .until(path, async () => {
        seen = await read();
        if (wanted === "") return seen === undefined || (Array.isArray(seen) && seen.length === 0);
        if (!wanted.startsWith("{") && !wanted.startsWith("[")) return seen === wanted;
        return JSON.stringify(shapeOf(seen)) === JSON.stringify(shapeOf(JSON.parse(wanted)));
      })
      .catch(() => assert.fail(`${path} is ${JSON.stringify(seen)}`));
  }

  async #cpuModels(node: string, step: Step): Promise<void> {
    const { metadata } = await this.#world.platform.nodes.get(node);
    const models = Object.keys(metadata.labels ?? {})
      .filter((label) => label.includes("cpu-model"))
      .map((label) => label.split("/")[1] ?? "")
      .sort((a, b) => (a < b ? -1 : 1));
    assert.deepEqual(models, step.prints?.split("\n"));
  }

  async #delete(words: readonly string[]): Promise<void> {
    const client = this.#client(words[0]);
    const name = words[1] ?? "";
    await client.delete(name);
    await this.#world.until(`${name} is gone`, () =>
      client.get(name).then(
        () => false,
        () => true,
      ),
    );
  }

  async #upload(what: string): Promise<void> {
    const [kind, name = ""] = what.split(" ");
    const { center, platform } = this.#world;
    const resource = (await this.#client(kind).get(name)) as Kinds["VirtualImage"];
    const url = resource.status?.imageUploadURLs?.external ?? "";
    const file = Buffer.alloc(1024);
    file.write("QFI\xfb", "latin1");
    file.writeBigUInt64BE(112n * 2n ** 20n, 24);
    const content = (async function* () {
      yield file;
    })();
    const token = url.split("/").at(-1) ?? "";
    await center.clock.until(platform.receiveUpload(token, { content, sizeBytes: file.length }));
  }

  async #console(verb: "console" | "vnc", name: string, step: Step): Promise<void> {
    const { center, platform } = this.#world;
    await this.#world.until(`${name} is up`, () => center.guest(name).state.agentConnected);
    const open = verb === "console" ? platform.virtualMachines.console(name) : this.#vnc(name);
    await using stream = await center.clock.until(open);
    if (verb === "console") await stream.write(Buffer.from("\r"));
    for await (const bytes of stream) {
      const text = Buffer.from(bytes).toString();
      assert.ok(text.includes(step.prints ?? ""), `the console shows ${JSON.stringify(text)}`);
      return;
    }
  }

  #vnc(name: string): ReturnType<World["platform"]["virtualMachines"]["console"]> {
    const { hypervisor } = this.#world.center.parts.backends.find((part) => part.hypervisor) ?? {};
    const opening = hypervisor?.consoles?.openVnc?.(this.#world.center.guest(name).state, {});
    return opening ?? assert.fail("the hypervisor has no screens");
  }

  async #ssh(command: string, step: Step): Promise<void> {
    let answer = "";
    const { center } = this.#world;
    await this.#world
      .until(`the answer to ${command}`, () => {
        const guest = center.guest("linux-vm");
        const { sockets, coresPerSocket } = guest.spec.cpu;
        answer = command.includes("nproc")
          ? String(sockets * coresPerSocket)
          : (guest.state.disks ?? []).join(" ");
        return answer === step.prints;
      })
      .catch(() => assert.fail(`the guest answers ${answer}`));
  }

  async #operate(type: VirtualMachineOperationSpec["type"], name: string): Promise<void> {
    const { platform } = this.#world;
    await this.#untilIdle();
    const operation = await platform.virtualMachineOperations.create({
      apiVersion: "virtualization.deckhouse.io/v1alpha2",
      kind: "VirtualMachineOperation",
      metadata: { generateName: `${type.toLowerCase()}-${name}-` },
      spec: { virtualMachineName: name, type },
    } as never);
    const found = await this.#world.until(`${type} of ${name}`, async () => {
      const now = await platform.virtualMachineOperations.get(operation.metadata.name);
      return ["Completed", "Failed"].includes(now.status?.phase ?? "") && now;
    });
    assert.equal(found && found.status?.phase, "Completed", JSON.stringify(found));
    await this.#world.untilPhase("VirtualMachine", name, "Running");
  }

  /** Waits until no operation is under way. */
  #untilIdle(): Promise<boolean> {
    return this.#world.until("all operations are over", async () => {
      const { items } = await this.#world.platform.virtualMachineOperations.list();
      return items.every(
        ({ status }) => !["Pending", "InProgress"].includes(status?.phase ?? "Pending"),
      );
    });
  }

  async #drain(node: string): Promise<void> {
    const { platform } = this.#world;
    this.#drained = node;
    await this.#untilIdle();
    await platform.nodes.patch(node, {
      spec: { unschedulable: true },
      metadata: { annotations: { "virtualization.deckhouse.io/drain": "true" } },
    });
    await this.#world.until(`${node} is empty`, async () => {
      const { items } = await platform.virtualMachines.list();
      return items.every(({ status }) => status?.nodeName !== node);
    });
  }

  async #table(
    kindName: string,
    name: string | undefined,
    wide: boolean,
    prefixed: boolean,
  ): Promise<ResourceTable> {
    const kind = this.#kind(kindName);
    const { items } = await this.#client(kindName).list();
    const chosen = items.filter(({ metadata }) => name === undefined || metadata.name === name);
    const table = resourceTable(kind, chosen as never, {
      now: this.#world.center.clock.now(),
      wide,
    });
    if (!prefixed) return table;
    const prefix = `${kind.toLowerCase()}.virtualization.deckhouse.io/`;
    const rows = table.rows.map(([first = "", ...rest]) => [`${prefix}${first}`, ...rest]);
    return { ...table, rows };
  }

  #kind(name: string): Kind {
    return KIND_NAMES[name] ?? assert.fail(`the shell does not know the kind ${name}`);
  }

  #client(name: string | undefined): {
    get(name: string): Promise<AppliedResource>;
    list(): Promise<{ readonly items: readonly AppliedResource[] }>;
    patch(name: string, patch: Readonly<Record<string, unknown>>): Promise<AppliedResource>;
    delete(name: string): Promise<void>;
  } {
    return this.#world.platform.client(this.#kind(name ?? "")) as never;
  }

  async #filledIn(text: string): Promise<string> {
    const { center, platform } = this.#world;
    const seconds = String(Math.floor(center.clock.now() / 1000));
    let filled = text.replaceAll("$(date +%s)", seconds).replaceAll("$(drained)", this.#drained);
    if (filled.includes("$(node)")) {
      const { status } = await platform.virtualMachines.get("linux-vm");
      filled = filled.replaceAll("$(node)", status?.nodeName ?? "");
    }
    if (filled.includes("$(vdsnapshot)")) {
      const { items } = await platform.virtualDiskSnapshots.list();
      filled = filled.replaceAll("$(vdsnapshot)", items.at(-1)?.metadata.name ?? "");
    }
    return filled;
  }
}

/** What is wrong with a table; `undefined` when it shows what the guide prints. */
function compare(
  expected: PrintedTable,
  table: ResourceTable,
  step: Step,
  newer: readonly string[],
): string | undefined {
  const differs = step.differs ?? [];
  const called = expected.columns.map(
    (column) => differs.find((each) => each.column === column)?.called ?? column,
  );
  const columns = table.columns.filter((column) => !newer.includes(column));
  if (called.join(",") !== columns.join(","))
    return `the columns are ${table.columns.join(", ")}, and the guide has ${called.join(", ")}`;
  const wanted = withDifferences(expected, differs);
  if (step.amongOthers !== true && wanted.length !== table.rows.length)
    return `there are ${table.rows.length} rows, and the guide has ${wanted.length}`;
  for (const row of wanted) {
    const found = table.rows.some((cells) =>
      row.every(
        (cell, index) =>
          called[index] === "AGE" ||
          fits(cell, cells[table.columns.indexOf(called[index] ?? "")] ?? ""),
      ),
    );
    if (!found) return `there is no row ${row.map(String).join(" | ")}`;
  }
  return undefined;
}

function withDifferences(
  { columns, rows }: PrintedTable,
  differs: readonly Difference[],
): (string | RegExp)[][] {
  return rows.map((row, number) =>
    row.map((cell, index) => {
      const difference = differs.find(
        (each) => each.column === columns[index] && (each.row === undefined || each.row === number),
      );
      return difference?.shows ?? cell;
    }),
  );
}

function fits(wanted: string | RegExp, actual: string): boolean {
  return typeof wanted === "string" ? wanted === actual : wanted.test(actual);
}

/** How far it has come in between depends on the network; it comes from the start to the end and never goes back. */
function checkProgress({ columns }: PrintedTable, rows: readonly (readonly string[])[]): void {
  const at = columns.indexOf("PROGRESS");
  if (at < 0) return;
  const texts = rows.map((row) => row[at] ?? "").filter((text) => text !== "");
  const numbers = texts.map((text) => Number.parseFloat(text));
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
    "the progress goes back",
  );
  assert.ok(numbers.length >= 3 && numbers.at(-1) === 100, `no progress: ${texts.join(" ")}`);
  for (const text of texts) assert.match(text, /^\d+(\.\d)?%$/);
}

/** Addresses of uploads hold a host and a secret: only their form is compared. */
function shapeOf(value: unknown): unknown {
  if (typeof value === "string" && /^https?:/.test(value)) {
    return value.replace(/^https?:\/\/[^/]+\/upload(\/\w+)?.*$/, "an upload address");
  }
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== "object" || value === null) return value;
  const sorted = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.map(([key, inner]) => [key, shapeOf(inner)]));
}
