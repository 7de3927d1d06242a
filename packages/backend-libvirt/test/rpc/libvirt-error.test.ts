import { describe, expect, it } from "vitest";

import {
  isAccessDeniedError,
  isAgentUnavailableError,
  isAlreadyExistsError,
  isBusyError,
  isInvalidStateError,
  isInvalidXmlError,
  isLibvirtError,
  isNotFoundError,
  isRpcError,
  isUnsupportedError,
  LibvirtError,
  RpcError,
} from "../../src/rpc/index.ts";
import { readLibvirtError, wireErrorCodec } from "../../src/rpc/libvirt-error.ts";
import { XdrWriter } from "../../src/rpc/xdr-writer.ts";
import { fakeError } from "../../src/testing/fake-libvirtd.ts";
import { someDomain } from "./support.ts";

const predicates = {
  isAccessDeniedError,
  isAgentUnavailableError,
  isAlreadyExistsError,
  isBusyError,
  isInvalidStateError,
  isInvalidXmlError,
  isNotFoundError,
  isUnsupportedError,
};

describe("LibvirtError", () => {
  it("keeps the full struct of the wire", () => {
    const fields = {
      code: 38,
      domain: 18,
      message: "cannot open volume: Permission denied",
      level: 2,
      subjectDomain: someDomain,
      str1: "%s",
      str2: "cannot open volume",
      str3: undefined,
      int1: 13,
      int2: -1,
      subjectNetwork: undefined,
    };
    const writer = new XdrWriter();
    wireErrorCodec.write(writer, fields);
    const error = readLibvirtError(writer.finish(), "storageVolUpload");
    expect(error).toMatchObject({ code: "LIBVIRT_SYSTEM_ERROR", number: 38, domain: 18, fields });
    expect(error.message).toBe("storageVolUpload failed: cannot open volume: Permission denied");
  });

  it("has a code for numbers that are newer than this client, and for a missing message", () => {
    const error = new LibvirtError({ code: 999, domain: 0, level: 2, int1: 0, int2: 0 });
    expect(error).toMatchObject({ code: "LIBVIRT_ERROR_999", message: "libvirt error 999" });
  });

  it.each<[keyof typeof predicates, readonly number[]]>([
    ["isNotFoundError", [42, 43, 49, 50, 72, 80]],
    ["isAlreadyExistsError", [28, 37, 90]],
    ["isUnsupportedError", [3, 67, 74, 84]],
    ["isBusyError", [68, 83, 87]],
    ["isInvalidStateError", [55]],
    ["isAccessDeniedError", [29, 45, 88, 94]],
    ["isAgentUnavailableError", [86, 97]],
    ["isInvalidXmlError", [27, 92]],
  ])("%s matches its set and nothing else does", (name, numbers) => {
    for (const number of numbers) {
      const error = fakeError(number, "x");
      const matching = Object.entries(predicates).filter(([, matches]) => matches(error));
      expect(matching.map(([matched]) => matched)).toEqual([name]);
    }
    expect(predicates[name](new Error("x"))).toBe(false);
    expect(predicates[name](undefined)).toBe(false);
  });

  it("tells a procedure that the daemon does not know from other RPC errors", () => {
    expect(isUnsupportedError(fakeError(39, "unknown procedure: 444"))).toBe(true);
    expect(isUnsupportedError(fakeError(39, "authentication required"))).toBe(false);
  });
});

describe("brands", () => {
  it("recognise errors of another copy of the package", () => {
    const foreignLibvirt = { [Symbol.for("@polyvisor/backend-libvirt/LibvirtError")]: true };
    const foreignRpc = {
      [Symbol.for("@polyvisor/backend-libvirt/RpcError")]: true,
      code: "RPC_CLOSED",
    };
    expect(isLibvirtError(foreignLibvirt)).toBe(true);
    expect(isRpcError(foreignRpc, "RPC_CLOSED")).toBe(true);
    expect(isRpcError(foreignRpc, "RPC_ABORTED")).toBe(false);
    expect(isRpcError(foreignLibvirt)).toBe(false);
    expect(isLibvirtError(new RpcError("RPC_CLOSED", "x"))).toBe(false);
  });
});
