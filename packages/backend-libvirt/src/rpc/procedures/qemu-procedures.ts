/**
 * Procedures of the QEMU program: `[number, priority, arguments, result]` (qemu_protocol.x). Commands to the monitor and
 * to the agent mark the domain as tainted, and libvirt does not learn what they change.
 */
export const qemuProcedures = {
  qemuMonitorCommand: [
    1,
    "low",
    { domain: "domain", command: "str", flags: "u32" },
    { result: "str" },
  ],
  qemuAgentCommand: [
    3,
    "low",
    { domain: "domain", command: "str", timeout: "i32", flags: "u32" },
    { result: "str?" },
  ],
  qemuMonitorEventRegister: [
    4,
    "high",
    { qemuMonitor: "domain?", event: "str?", flags: "u32" },
    { callbackId: "i32" },
  ],
  qemuMonitorEventDeregister: [5, "high", { callbackId: "i32" }, {}],
} as const;
