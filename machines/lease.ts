/**
 * The lease of a session: how long it lives, and what makes it live longer.
 *
 * It begins far from its end, is announced when the end comes near, and is then extended by activity, as often as the policy
 * allows, or ends. Which activity comes when is arithmetic on the session's data; the chart says what may follow what. It runs
 * as an actor from the announcement on, so a session far from its end has none. Kind of state: durable.
 */
import { assign, setup } from 'xstate';
import { MICROSTEPS_MAX } from './effect.ts';

export type LeaseEvent =
  { type: 'expiry.announced' } | { type: 'lease.extended'; extensions: number } | { type: 'session.expired' };

export interface LeaseInput {
  /** Extensions so far, and how many there may be. */
  readonly extensions: number;
  readonly extensionsMax: number;
}

export const leaseMachine = setup({
  types: {
    context: {} as LeaseInput,
    events: {} as LeaseEvent,
    input: {} as LeaseInput,
  },
  actions: { count: assign({ extensions: (_, params: { extensions: number }) => params.extensions }) },
  guards: {
    capReached: ({ context }) => context.extensions >= context.extensionsMax,
    withinCap: ({ context }, params: { extensions: number }) => params.extensions <= context.extensionsMax,
  },
}).createMachine({
  id: 'lease',
  version: '1',
  description: 'How long a session lives.',
  options: { maxIterations: MICROSTEPS_MAX },
  context: ({ input }) => ({ extensions: input.extensions, extensionsMax: input.extensionsMax }),
  initial: 'held',
  states: {
    held: {
      description: 'Nobody has been told of an end yet: it is far, or what was announced was put off.',
      on: {
        'expiry.announced': [{ guard: 'capReached', target: 'expiring.final' }, { target: 'expiring.extendable' }],
        'lease.extended': {
          guard: { type: 'withinCap', params: ({ event: { extensions } }) => ({ extensions }) },
          actions: { type: 'count', params: ({ event: { extensions } }) => ({ extensions }) },
        },
        'session.expired': 'expired',
      },
    },
    expiring: {
      description: 'The end is near, and everybody attached was told so once.',
      initial: 'extendable',
      on: { 'session.expired': 'expired' },
      states: {
        extendable: {
          description: 'The next activity puts the end off.',
          on: {
            'lease.extended': {
              guard: { type: 'withinCap', params: ({ event: { extensions } }) => ({ extensions }) },
              target: '#lease.held',
              actions: { type: 'count', params: ({ event: { extensions } }) => ({ extensions }) },
            },
          },
        },
        final: { description: 'Nothing puts the end off any more: the policy allows no further extension.' },
      },
    },
    expired: { type: 'final', description: 'The session is over; its name answers so until it is taken again.' },
  },
});
