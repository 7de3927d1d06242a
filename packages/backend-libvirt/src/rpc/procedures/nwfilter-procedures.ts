/** Network filters and their bindings: `[number, priority, arguments, result]` (remote_protocol.x). */
export const nwfilterProcedures = {
  nwfilterLookupByName: [175, "high", { name: "str" }, { filter: "nwfilter" }],
  nwfilterGetXmlDesc: [177, "high", { filter: "nwfilter", flags: "u32" }, { xml: "str" }],
  nwfilterDefineXml: [180, "high", { xml: "str" }, { filter: "nwfilter" }],
  nwfilterUndefine: [181, "high", { filter: "nwfilter" }, {}],
  connectListAllNwfilters: [
    286,
    "high",
    { needResults: "bool", flags: "u32" },
    { filters: "nwfilter<16384>", count: "u32" },
  ],
  nwfilterBindingLookupByPortDev: [397, "high", { name: "str" }, { binding: "nwfilterBinding" }],
  nwfilterBindingCreateXml: [
    399,
    "high",
    { xml: "str", flags: "u32" },
    { binding: "nwfilterBinding" },
  ],
  nwfilterBindingDelete: [400, "high", { binding: "nwfilterBinding" }, {}],
  connectListAllNwfilterBindings: [
    401,
    "high",
    { needResults: "bool", flags: "u32" },
    { bindings: "nwfilterBinding<16384>", count: "u32" },
  ],
  nwfilterDefineXmlFlags: [431, "high", { xml: "str", flags: "u32" }, { filter: "nwfilter" }],
} as const;
