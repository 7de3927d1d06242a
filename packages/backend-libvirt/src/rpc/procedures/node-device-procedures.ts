/** Devices of hosts: `[number, priority, arguments, result]` (remote_protocol.x). */
export const nodeDeviceProcedures = {
  nodeDeviceLookupByName: [113, "high", { name: "str" }, { device: "nodeDevice" }],
  nodeDeviceGetXmlDesc: [114, "low", { name: "str", flags: "u32" }, { xml: "str" }],
  nodeDeviceGetParent: [115, "high", { name: "str" }, { parentName: "str?" }],
  nodeDeviceListCaps: [117, "high", { name: "str", maximum: "i32" }, { names: "str<65536>" }],
  nodeDeviceReAttach: [119, "low", { name: "str" }, {}],
  nodeDeviceReset: [120, "low", { name: "str" }, {}],
  nodeDeviceCreateXml: [123, "low", { xml: "str", flags: "u32" }, { device: "nodeDevice" }],
  nodeDeviceDestroy: [124, "high", { name: "str" }, {}],
  connectListAllNodeDevices: [
    285,
    "high",
    { needResults: "bool", flags: "u32" },
    { devices: "nodeDevice<65536>", count: "u32" },
  ],
  nodeDeviceDetachFlags: [301, "low", { name: "str", driverName: "str?", flags: "u32" }, {}],
  nodeDeviceDefineXml: [428, "low", { xml: "str", flags: "u32" }, { device: "nodeDevice" }],
  nodeDeviceUndefine: [429, "high", { name: "str", flags: "u32" }, {}],
  nodeDeviceCreate: [430, "high", { name: "str", flags: "u32" }, {}],
  nodeDeviceGetAutostart: [433, "high", { name: "str" }, { autostart: "bool" }],
  nodeDeviceSetAutostart: [434, "high", { name: "str", autostart: "bool" }, {}],
} as const;
