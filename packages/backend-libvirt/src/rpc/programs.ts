/** Program number of the libvirt API (remote_protocol.x `REMOTE_PROGRAM`). */
export const remoteProgram = 0x2000_8086;

/** Program number of what only the QEMU driver has (qemu_protocol.x `QEMU_PROGRAM`). */
export const qemuProgram = 0x2000_8087;

/** Program number of the keepalive messages (virkeepaliveprotocol.x). */
export const keepaliveProgram = 0x6b65_6570;

/** The only version of every program above. */
export const programVersion = 1;

/** Procedure number of a keepalive request. */
export const keepalivePing = 1;

/** Procedure number of a keepalive answer. */
export const keepalivePong = 2;
