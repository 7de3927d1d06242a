/** Secrets that disks and pools are opened with: `[number, priority, arguments, result]` (remote_protocol.x). */
export const secretProcedures = {
  secretLookupByUuid: [141, "high", { uuid: "uuid" }, { secret: "secret" }],
  secretDefineXml: [142, "high", { xml: "str", flags: "u32" }, { secret: "secret" }],
  secretGetXmlDesc: [143, "high", { secret: "secret", flags: "u32" }, { xml: "str" }],
  secretSetValue: [144, "high", { secret: "secret", value: "opaque<65536>", flags: "u32" }, {}],
  secretGetValue: [145, "high", { secret: "secret", flags: "u32" }, { value: "opaque<65536>" }],
  secretUndefine: [146, "high", { secret: "secret" }, {}],
  secretLookupByUsage: [147, "high", { usageType: "i32", usageId: "str" }, { secret: "secret" }],
  connectListAllSecrets: [
    287,
    "high",
    { needResults: "bool", flags: "u32" },
    { secrets: "secret<16384>", count: "u32" },
  ],
} as const;
