import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import {
  createConnectionPool,
  downloadVolume,
  events,
  isNotFoundError,
  openConnection,
  openConsole,
  procedures,
  uploadVolume,
  type EventSubscription,
  type LibvirtConnection,
  type StorageVolHandle,
  type StreamItem,
} from "../../src/rpc/index.ts";
import { startPrivateLibvirtd, type PrivateLibvirtd } from "./private-libvirtd.ts";
import { rejection } from "./support.ts";

const mebibyte = 1_048_576;
const guestXml = `<domain type="qemu">
  <name>console</name><memory unit="MiB">64</memory>
  <os><type arch="x86_64" machine="pc">hvm</type><bios useserial="yes"/></os>
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator><serial type="pty"/></devices>
</domain>`;

let daemon: PrivateLibvirtd;

beforeAll(async () => {
  daemon = await startPrivateLibvirtd();
}, 60_000);

afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
});

function connectTo(uri: string, dedicated = false): Promise<LibvirtConnection> {
  return openConnection({ socketPath: daemon.socketPath, uri, dedicated });
}

async function nextEvent<Payload>(subscription: EventSubscription<Payload>): Promise<Payload> {
  const { value } = await subscription[Symbol.asyncIterator]().next();
  if (value?.type !== "event") throw new Error("expected an event");
  return value.event;
}

describe("libvirtd with test:///default", { timeout: 60_000 }, () => {
  it("answers questions about the host", async () => {
    await using connection = await connectTo("test:///default");
    const { hostname } = await connection.call(procedures.connectGetHostname, {});
    expect(hostname).not.toBe("");
    const { version } = await connection.call(procedures.connectGetLibVersion, {});
    expect(version).toBeGreaterThanOrEqual(9_000_000);
    expect(await connection.call(procedures.connectGetUri, {})).toEqual({ uri: "test:///default" });
    const node = await connection.call(procedures.nodeGetInfo, {});
    expect(node).toMatchObject({ model: "i686", cpus: 16, memory: 3_145_728 });
    const { capabilities } = await connection.call(procedures.connectGetCapabilities, {});
    expect(capabilities).toContain("<capabilities>");
  });

  it("defines, starts and removes a domain, with its events", async () => {
    await using connection = await connectTo("test:///default");
    await using subscription = await connection.subscribe(events.domainLifecycle);
    const xml = `<domain type="test"><name>live</name><memory>8192</memory><os><type>hvm</type></os></domain>`;
    const { domain } = await connection.call(procedures.domainDefineXmlFlags, { xml, flags: 0 });
    expect(domain).toMatchObject({ name: "live", id: -1 });
    expect(await nextEvent(subscription)).toMatchObject({ domain: { name: "live" }, event: 0 });

    await connection.call(procedures.domainCreateWithFlags, { domain, flags: 0 });
    expect(await nextEvent(subscription)).toMatchObject({ domain: { name: "live" }, event: 2 });
    const state = await connection.call(procedures.domainGetState, { domain, flags: 0 });
    expect(state.state).toBe(1);
    const info = await connection.call(procedures.domainGetInfo, { domain });
    expect(info).toMatchObject({ state: 1, maxMemory: 8192, vcpus: 1 });
    const list = await connection.call(procedures.connectListAllDomains, {
      needResults: true,
      flags: 0,
    });
    expect(list.domains.map(({ name }) => name).toSorted()).toEqual(["live", "test"]);
    expect(list.count).toBe(2);

    await connection.call(procedures.domainDestroyFlags, { domain, flags: 0 });
    expect(await nextEvent(subscription)).toMatchObject({ event: 5, detail: 1 });
    await connection.call(procedures.domainUndefineFlags, { domain, flags: 0 });
    expect(await nextEvent(subscription)).toMatchObject({ event: 1 });
    const error = await rejection(connection.call(procedures.domainLookupByName, { name: "live" }));
    expect(isNotFoundError(error)).toBe(true);
  });

  it("reports network and pool events next to domain events", async () => {
    await using connection = await connectTo("test:///default");
    await using domains = await connection.subscribe(events.domainLifecycle);
    await using networks = await connection.subscribe(events.networkLifecycle);
    await using pools = await connection.subscribe(events.storagePoolLifecycle);
    const { network } = await connection.call(procedures.networkLookupByName, { name: "default" });
    await connection.call(procedures.networkDestroy, { network });
    const { pool } = await connection.call(procedures.storagePoolLookupByName, {
      name: "default-pool",
    });
    await connection.call(procedures.storagePoolDestroy, { pool });
    const { domain } = await connection.call(procedures.domainLookupByName, { name: "test" });
    await connection.call(procedures.domainSuspend, { domain });
    expect(await nextEvent(networks)).toMatchObject({ network: { name: "default" }, event: 3 });
    expect(await nextEvent(pools)).toMatchObject({ pool: { name: "default-pool" }, event: 3 });
    expect(await nextEvent(domains)).toMatchObject({ domain: { name: "test" }, event: 3 });
  });

  it("keeps metadata and refuses changes on a read-only connection", async () => {
    await using connection = await connectTo("test:///default");
    const { domain } = await connection.call(procedures.domainLookupByName, { name: "test" });
    const target = { domain, type: 2, uri: "http://example.invalid/app" };
    await connection.call(procedures.domainSetMetadata, {
      ...target,
      key: "app",
      metadata: "<note>kept</note>",
      flags: 0,
    });
    const { metadata } = await connection.call(procedures.domainGetMetadata, {
      ...target,
      flags: 0,
    });
    expect(metadata).toContain("kept");
    await using reader = await openConnection({
      socketPath: daemon.socketPath,
      uri: "test:///default",
      readOnly: true,
    });
    const error = await rejection(reader.call(procedures.domainDestroyFlags, { domain, flags: 0 }));
    expect(error).toMatchObject({ code: "LIBVIRT_OPERATION_DENIED" });
  });

  it("answers pings of the daemon's keepalive", async () => {
    await using connection = await openConnection({
      socketPath: daemon.socketPath,
      uri: "test:///default",
      keepalive: { intervalMs: 50, count: 1 },
    });
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(connection.endReason).toBeUndefined();
    await connection.call(procedures.connectGetHostname, {});
  });
});

async function createVolume(connection: LibvirtConnection): Promise<StorageVolHandle> {
  const path = join(daemon.directory, "pool");
  const { pool } = await connection.call(procedures.storagePoolCreateXml, {
    xml: `<pool type="dir"><name>live</name><target><path>${path}</path></target></pool>`,
    flags: 0,
  });
  const { volume } = await connection.call(procedures.storageVolCreateXml, {
    pool,
    xml: `<volume><name>disk.raw</name><capacity unit="MiB">64</capacity><allocation>0</allocation><target><format type="raw"/></target></volume>`,
    flags: 0,
  });
  return volume;
}

/** Data, 40 MiB of hole, data, 20 MiB of hole: 64 MiB that occupy about 4. */
async function* sparseImage(): AsyncGenerator<StreamItem> {
  for (const [fill, holeMebibytes] of [
    [0x5a, 40],
    [0xa5, 20],
  ] as const) {
    for (let index = 0; index < 8; index++) {
      yield { type: "data", bytes: Buffer.alloc(mebibyte / 4, fill + index) };
    }
    yield { type: "hole", length: holeMebibytes * mebibyte };
  }
}

async function digest(source: AsyncIterable<StreamItem>): Promise<{
  sha256: string;
  holeBytes: number;
}> {
  const hash = createHash("sha256");
  let holeBytes = 0;
  for await (const item of source) {
    if (item.type === "data") hash.update(item.bytes);
    else {
      holeBytes += Number(item.length);
      for (let left = Number(item.length); left > 0; left -= mebibyte) {
        hash.update(Buffer.alloc(Math.min(left, mebibyte)));
      }
    }
  }
  return { sha256: hash.digest("hex"), holeBytes };
}

describe("libvirtd with qemu:///system", { timeout: 120_000 }, () => {
  it("uploads and downloads a sparse volume", async () => {
    await using pool = createConnectionPool({
      socketPath: daemon.socketPath,
      uri: "qemu:///system",
    });
    await using connection = await pool.dedicated();
    const volume = await createVolume(connection);
    await uploadVolume(connection, { volume }, sparseImage());

    const expected = await digest(sparseImage());
    const sparse = await digest(downloadVolume(connection, { volume }));
    expect(sparse.sha256).toBe(expected.sha256);
    expect(sparse.holeBytes).toBe(60 * mebibyte);
    const dense = await digest(downloadVolume(connection, { volume, sparse: false }));
    expect(dense).toEqual({ sha256: expected.sha256, holeBytes: 0 });

    const info = await connection.call(procedures.storageVolGetInfo, { volume });
    expect(info.capacity).toBe(64 * mebibyte);
    expect(info.allocation).toBeLessThan(8 * mebibyte);
    const { name } = await connection.call(procedures.storageVolGetPath, { volume });
    expect((await stat(name)).blocks * 512).toBeLessThan(8 * mebibyte);

    for await (const item of downloadVolume(connection, { volume, sparse: false })) {
      expect(item.type).toBe("data");
      break;
    }
    const failed = uploadVolume(connection, { volume, offset: 2 ** 50 }, sparseImage());
    expect(await rejection(failed)).toMatchObject({ name: "LibvirtError" });
    await connection.call(procedures.storageVolDelete, { volume, flags: 0 });
  });

  it("shows the console of a guest until it stops", async () => {
    await using control = await connectTo("qemu:///system");
    const { domain } = await control.call(procedures.domainCreateXml, { xml: guestXml, flags: 0 });
    await using connection = await connectTo("qemu:///system", true);
    await using terminal = await openConsole(connection, { domain });
    const taken = rejection(openConsole(control, { domain }));
    expect(await taken).toMatchObject({ code: "LIBVIRT_OPERATION_FAILED" });
    await terminal.write(Buffer.from("\r"));
    // QEMU drops what a guest prints before it notices the console's reader: make it print again.
    const printing = setInterval(() => {
      void control.call(procedures.domainReset, { domain, flags: 0 }).catch(() => {});
    }, 2000);
    onTestFinished(() => clearInterval(printing));
    let output = "";
    let destroyed: Promise<unknown> | undefined;
    for await (const bytes of terminal) {
      output += Buffer.from(bytes).toString("latin1");
      if (destroyed !== undefined || !output.includes("SeaBIOS")) continue;
      clearInterval(printing);
      destroyed = control.call(procedures.domainDestroyFlags, { domain, flags: 0 });
    }
    await destroyed;
    expect(output).toContain("SeaBIOS");
    const { records } = await control.call(procedures.connectGetAllDomainStats, {
      domains: [],
      stats: 0,
      flags: 0,
    });
    expect(records).toEqual([]);
  });
});
