/** Event registration procedures: `[number, priority, arguments, result]` (remote_protocol.x). */
export const eventProcedures = {
  connectDomainEventCallbackRegisterAny: [
    316,
    "high",
    { eventId: "i32", domain: "domain?" },
    { callbackId: "i32" },
  ],
  connectDomainEventCallbackDeregisterAny: [317, "high", { callbackId: "i32" }, {}],
  connectNetworkEventRegisterAny: [
    313,
    "high",
    { eventId: "i32", network: "network?" },
    { callbackId: "i32" },
  ],
  connectNetworkEventDeregisterAny: [314, "high", { callbackId: "i32" }, {}],
  connectStoragePoolEventRegisterAny: [
    368,
    "high",
    { eventId: "i32", pool: "storagePool?" },
    { callbackId: "i32" },
  ],
  connectStoragePoolEventDeregisterAny: [369, "high", { callbackId: "i32" }, {}],
  connectNodeDeviceEventRegisterAny: [
    374,
    "high",
    { eventId: "i32", nodeDevice: "nodeDevice?" },
    { callbackId: "i32" },
  ],
  connectNodeDeviceEventDeregisterAny: [375, "high", { callbackId: "i32" }, {}],
  connectSecretEventRegisterAny: [
    380,
    "high",
    { eventId: "i32", secret: "secret?" },
    { callbackId: "i32" },
  ],
  connectSecretEventDeregisterAny: [381, "high", { callbackId: "i32" }, {}],
} as const;
