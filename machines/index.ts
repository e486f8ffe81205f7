/** Every chart, by name. */
export { commandMachine } from './command.ts';
export { connectionMachine } from './connection.ts';
export { laneMachine } from './lane.ts';
export { recoveryMachine } from './recovery.ts';
export { serverMachine } from './server.ts';
export { sessionMachine } from './session.ts';
export { turnMachine } from './turn.ts';
