import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { startFakeLibvirtd } from "../src/testing/fake-libvirtd.ts";

/** A process with many daemons, which have no guests: `fake-daemons.ts DIRECTORY COUNT`. */
const [directory = "", count = "0"] = process.argv.slice(2);
const capabilities = `<capabilities><guest><arch name="x86_64"><domain type="kvm"/></arch></guest></capabilities>`;
const domainCapabilities = await readFile(
  new URL("domain-capabilities.xml", import.meta.url),
  "utf8",
);
let callbacks = 0;
const register = (): { callbackId: number } => ({ callbackId: (callbacks += 1) });

await Promise.all(
  Array.from({ length: Number(count) }, (_, index) =>
    startFakeLibvirtd({
      socketPath: join(directory, `${index}.sock`),
      handlers: {
        connectDomainEventCallbackRegisterAny: register,
        qemuMonitorEventRegister: register,
        nodeGetInfo: () => ({
          model: "x86_64",
          memory: 2 ** 27,
          cpus: 64,
          mhz: 2400,
          nodes: 2,
          sockets: 1,
          cores: 16,
          threads: 2,
        }),
        connectGetLibVersion: () => ({ version: 9_000_000 }),
        connectGetCapabilities: () => ({ capabilities }),
        connectGetDomainCapabilities: () => ({ capabilities: domainCapabilities }),
        connectBaselineHypervisorCpu: () => ({
          cpu: '<cpu><feature policy="require" name="sse2"/></cpu>',
        }),
        connectListAllDomains: () => ({ domains: [], count: 0 }),
      },
    }),
  ),
);
process.send?.("ready");
process.once("disconnect", () => process.exit());
