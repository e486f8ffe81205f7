/** A chart with everything that a walk has to understand: delays, an invoked actor, eventless branches, a region that ends. */
import { fromPromise, setup } from 'xstate';
import { effect } from '../../machines/effect.ts';

export const breakerMachine = setup({
  types: {
    context: {} as { failures: number; failuresMax: number },
    events: {} as { type: 'call.failed'; fatal: boolean } | { type: 'breaker.reset' },
    input: {} as { failuresMax: number },
  },
  actors: { probe: fromPromise(() => Promise.reject(new Error('A walk must not run what a chart invokes.'))) },
  actions: { raiseAlarm: effect<{ failuresMax: number }>('raiseAlarm') },
  guards: {
    isFatal: (_, { fatal }: { fatal: boolean }) => fatal,
    toleratesNone: ({ context }) => context.failuresMax === 0,
  },
  delays: { cooldown: 1_000 },
}).createMachine({
  id: 'breaker',
  context: ({ input }) => ({ failures: 0, failuresMax: input.failuresMax }),
  initial: 'checking',
  states: {
    checking: { always: [{ guard: 'toleratesNone', target: 'open' }, { target: 'closed' }] },
    closed: {
      on: {
        'call.failed': { guard: { type: 'isFatal', params: ({ event }) => ({ fatal: event.fatal }) }, target: 'open' },
      },
    },
    open: {
      entry: { type: 'raiseAlarm', params: ({ context }) => ({ failuresMax: context.failuresMax }) },
      after: { cooldown: 'halfOpen' },
    },
    halfOpen: {
      initial: 'probing',
      invoke: { id: 'probe', src: 'probe', onDone: '.proven', onError: 'open' },
      states: { probing: {}, proven: { type: 'final' } },
      onDone: 'closed',
    },
  },
  on: { 'breaker.reset': '.closed' },
});
