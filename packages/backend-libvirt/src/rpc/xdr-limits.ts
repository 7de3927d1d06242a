/** Longest string in bytes that libvirt sends or accepts (REMOTE_STRING_MAX, remote_protocol.x). */
export const maxStringBytes = 4_194_304;

/** Longest list of the protocol: typed parameters of one statistics record (remote_protocol.x). */
export const maxListLength = 262_144;
