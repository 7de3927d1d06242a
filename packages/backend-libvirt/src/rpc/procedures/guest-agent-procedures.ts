/** Procedures that the agent inside a guest carries out: `[number, priority, arguments, result]` (remote_protocol.x). */
export const guestAgentProcedures = {
  domainFstrim: [
    294,
    "low",
    { domain: "domain", mountPoint: "str?", minimum: "u64", flags: "u32" },
    {},
  ],
  domainSendProcessSignal: [
    295,
    "low",
    { domain: "domain", pid: "i64", signal: "u32", flags: "u32" },
    {},
  ],
  domainFsfreeze: [
    335,
    "low",
    { domain: "domain", mountPoints: "str<256>", flags: "u32" },
    { filesystems: "i32" },
  ],
  domainFsthaw: [
    336,
    "low",
    { domain: "domain", mountPoints: "str<256>", flags: "u32" },
    { filesystems: "i32" },
  ],
  domainGetTime: [
    337,
    "low",
    { domain: "domain", flags: "u32" },
    { seconds: "i64", nanoseconds: "u32" },
  ],
  domainSetTime: [
    338,
    "low",
    { domain: "domain", seconds: "i64", nanoseconds: "u32", flags: "u32" },
    {},
  ],
  domainGetFsinfo: [
    349,
    "low",
    { domain: "domain", flags: "u32" },
    { info: "fileSystem<256>", count: "u32" },
  ],
  domainSetUserPassword: [
    357,
    "low",
    { domain: "domain", user: "str?", password: "str?", flags: "u32" },
    {},
  ],
  domainGetGuestVcpus: [
    371,
    "low",
    { domain: "domain", flags: "u32" },
    { parameters: "tparam<64>" },
  ],
  domainSetGuestVcpus: [
    372,
    "low",
    { domain: "domain", cpuMap: "str", state: "i32", flags: "u32" },
    {},
  ],
  domainGetGuestInfo: [
    418,
    "low",
    { domain: "domain", types: "u32", flags: "u32" },
    { parameters: "tparam<2048>" },
  ],
  domainAgentSetResponseTimeout: [
    420,
    "low",
    { domain: "domain", timeout: "i32", flags: "u32" },
    { result: "i32" },
  ],
  domainAuthorizedSshKeysGet: [
    424,
    "low",
    { domain: "domain", user: "str", flags: "u32" },
    { keys: "str<2048>" },
  ],
  domainAuthorizedSshKeysSet: [
    425,
    "low",
    { domain: "domain", user: "str", keys: "str<2048>", flags: "u32" },
    {},
  ],
} as const;
