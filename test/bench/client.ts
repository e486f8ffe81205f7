/**
 * The client's process: does what it is asked over the channel to its parent, one thing at a time.
 */
import { catchUp, type CatchUpOptions, type CatchUpResult } from './catch-up.ts';
import { Load, type LoadOptions, type LoadResult } from './load.ts';
import { pingPong, type PingPongOptions, type PingPongResult } from './ping-pong.ts';
import {
  newcomer,
  storm,
  type NewcomerOptions,
  type NewcomerResult,
  type StormOptions,
  type StormResult,
} from './storm.ts';
import { askDuringTurns, type TurnsOptions, type TurnsResult } from './turns.ts';

/** What a client can be asked, and what it answers. */
export interface Tasks {
  load: { options: LoadOptions; result: LoadResult };
  pingPong: { options: PingPongOptions; result: PingPongResult };
  catchUp: { options: CatchUpOptions; result: CatchUpResult };
  storm: { options: StormOptions; result: StormResult };
  newcomer: { options: NewcomerOptions; result: NewcomerResult };
  turns: { options: TurnsOptions; result: TurnsResult };
}

const perform: { [Name in keyof Tasks]: (options: Tasks[Name]['options']) => Promise<Tasks[Name]['result']> } = {
  load: (options) => new Load(options).run(),
  pingPong,
  catchUp,
  storm,
  newcomer,
  turns: askDuringTurns,
};

process.on('message', ({ task, options }: { task: keyof Tasks; options: never }) => {
  perform[task](options).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String((error as Error).stack ?? error) }),
  );
});
process.on('disconnect', () => process.exit());
