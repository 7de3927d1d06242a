/** Network interfaces of hosts: `[number, priority, arguments, result]` (remote_protocol.x). */
export const hostInterfaceProcedures = {
  interfaceLookupByName: [128, "high", { name: "str" }, { interface: "hostInterface" }],
  interfaceGetXmlDesc: [130, "low", { interface: "hostInterface", flags: "u32" }, { xml: "str" }],
  interfaceDefineXml: [131, "high", { xml: "str", flags: "u32" }, { interface: "hostInterface" }],
  interfaceUndefine: [132, "high", { interface: "hostInterface" }, {}],
  interfaceCreate: [133, "low", { interface: "hostInterface", flags: "u32" }, {}],
  interfaceDestroy: [134, "high", { interface: "hostInterface", flags: "u32" }, {}],
  interfaceChangeBegin: [220, "low", { flags: "u32" }, {}],
  interfaceChangeCommit: [221, "low", { flags: "u32" }, {}],
  interfaceChangeRollback: [222, "low", { flags: "u32" }, {}],
  connectListAllInterfaces: [
    284,
    "high",
    { needResults: "bool", flags: "u32" },
    { interfaces: "hostInterface<16384>", count: "u32" },
  ],
} as const;
