import { type Platform, resourceTable } from "@polyvisor/core";
import Table from "cli-table3";
import { createLogUpdate } from "log-update";

/** The tables of `kubectl get vi,vd,vm -w`, kept up to date until disposed of. */
export interface LiveTable extends AsyncDisposable {}

const EMPTY_BORDERS = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "   ",
};

/**
 * Shows images, disks and machines as they change: on a terminal the tables are drawn anew in place, elsewhere every
 * change of a row is a line.
 */
export function showLiveTable(platform: Platform, output: NodeJS.WriteStream): LiveTable {
  const ending = new AbortController();
  const screen = output.isTTY ? inPlace(output) : lineByLine(output);
  const draw = async (): Promise<void> => screen.show(await sections(platform));
  const watching = [platform.virtualImages, platform.virtualDisks, platform.virtualMachines].map(
    async (client) => {
      for await (const _ of client.watch({ signal: ending.signal })) await draw();
    },
  );
  // Ages grow without any change.
  const timer = output.isTTY ? setInterval(() => void draw(), 1000) : undefined;
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      clearInterval(timer);
      await Promise.all(watching);
      await draw();
      screen.done();
    },
  };
}

interface Section {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

async function sections(platform: Platform): Promise<Section[]> {
  const now = Date.now();
  const [images, disks, machines] = await Promise.all([
    platform.virtualImages.list(),
    platform.virtualDisks.list(),
    platform.virtualMachines.list(),
  ]);
  return [
    named("virtualimage", resourceTable("VirtualImage", images.items, { now })),
    // The progress of a disk is worth a look here; `kubectl get` shows it with `-o wide` only.
    named(
      "virtualdisk",
      withProgress(resourceTable("VirtualDisk", disks.items, { now, wide: true })),
    ),
    named("virtualmachine", resourceTable("VirtualMachine", machines.items, { now })),
  ];
}

function named(plural: string, { columns, rows }: Section): Section {
  return {
    columns,
    rows: rows.map(([name, ...cells]) => [
      `${plural}.virtualization.deckhouse.io/${name}`,
      ...cells,
    ]),
  };
}

const DISK_COLUMNS = ["NAME", "PHASE", "CAPACITY", "PROGRESS", "VIRTUALMACHINE", "AGE"];

function withProgress({ columns, rows }: Section): Section {
  const at = DISK_COLUMNS.map((name) => columns.indexOf(name));
  return { columns: DISK_COLUMNS, rows: rows.map((row) => at.map((index) => row[index] ?? "")) };
}

interface Screen {
  show(sections: readonly Section[]): void;
  done(): void;
}

function render({ columns, rows }: Section): string {
  const table = new Table({
    chars: EMPTY_BORDERS,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [] },
    head: [...columns],
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}

function inPlace(output: NodeJS.WriteStream): Screen {
  const update = createLogUpdate(output);
  return {
    show: (all) =>
      update(
        all
          .filter(({ rows }) => rows.length > 0)
          .map(render)
          .join("\n\n"),
      ),
    done: () => update.done(),
  };
}

function lineByLine(output: NodeJS.WriteStream): Screen {
  const shown = new Map<string, string>();
  return {
    show(all) {
      for (const { columns, rows } of all) {
        for (const row of rows) {
          const [name = ""] = row;
          // The age changes by itself and is no news.
          const news = row.slice(0, -1).join("\t");
          if (shown.get(name) === news) continue;
          shown.set(name, news);
          const cells = columns.map((column, index) =>
            row[index] ? `${column}=${row[index]}` : "",
          );
          output.write(`${name}  ${cells.slice(1).filter(Boolean).join("  ")}\n`);
        }
      }
    },
    done() {},
  };
}
