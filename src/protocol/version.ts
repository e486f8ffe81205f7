/**
 * The version of the wire contract, as `server_ready` announces it.
 *
 * Minor versions add fields, commands and events that an older client may ignore. State: none.
 */
export const protocolVersion = '1.1.0';
