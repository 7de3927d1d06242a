import { expect, it } from "vitest";
import type { LibvirtHost } from "../src/host/libvirt-host.ts";
import { LibvirtError } from "../src/rpc/libvirt-error.ts";
import { procedures } from "../src/rpc/procedures.ts";
import { runningDisk } from "../src/storage/running-disk.ts";

const never = new AbortController().signal;
const xml =
  "<domain><devices><disk><source file='/disk'/><target dev='sda'/></disk></devices></domain>";

/** A host whose block jobs are caught up with, and that answers to their end like this. */
function hostThat(end: (flags: number) => void): LibvirtHost {
  const call = async (
    procedure: unknown,
    { flags }: { readonly flags: number },
  ): Promise<object> => {
    switch (procedure) {
      case procedures.domainIsActive:
        return { active: 1 };
      case procedures.domainGetXmlDesc:
        return { xml };
      case procedures.domainGetBlockJobInfo:
        return { found: 1, current: 512n, end: 512n };
      case procedures.domainBlockJobAbort:
        end(flags);
        return {};
      default:
        return {};
    }
  };
  return { connections: { call } } as unknown as LibvirtHost;
}

function failure(code: number): LibvirtError {
  const fields = { code, domain: 10, message: "said by the test", level: 2, int1: -1, int2: -1 };
  return new LibvirtError(fields as never, "domainBlockJobAbort");
}

const domain = { handle: { name: "web", uuid: new Uint8Array(16), id: 1 } } as never;

it("asks again while QEMU is not ready to go on with the copy", async () => {
  const asked: number[] = [];
  const host = hostThat((flags) => {
    asked.push(flags);
    if (asked.length < 3) throw failure(83);
  });
  const disk = await runningDisk(host, domain, ["/disk"], never);
  await disk?.putBack(never);
  expect(asked).toEqual([2, 2, 2]);
});

it("ends the copy when QEMU cannot go on with it", async () => {
  const asked: number[] = [];
  const host = hostThat((flags) => {
    asked.push(flags);
    if (flags === 2) throw failure(1);
  });
  const disk = await runningDisk(host, domain, ["/disk"], never);
  await expect(disk?.putBack(never)).rejects.toThrow("said by the test");
  expect(asked).toEqual([2, 0]);
});
