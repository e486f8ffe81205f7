/**
 * What of the server a connection hears about: subscribe, unsubscribe.
 *
 * Nothing of it is stored: a subscription ends with its connection.
 */
import type { ConnectionEffect, SettleDecision, Topic } from '../../actors/message.ts';
import { classed } from '../protocol/data-class.ts';
import { envelopes } from '../protocol/envelope.ts';
import { field } from '../protocol/field.ts';
import { refuse, serverCommand } from './command.ts';
import { choiceField } from './fields.ts';

/** Topics of the protocol; whether this server has them is another question. */
const TOPICS = ['lifecycle', 'sessions', 'metrics', 'alerts', 'inspection'] as const;
const TOPICS_ITEMS_MAX = 16;

const AVAILABLE: ReadonlySet<string> = new Set<Topic>(['lifecycle', 'sessions']);

const topics = classed(
  'operational',
  field<string[]>({ type: 'array', items: { enum: [...TOPICS] }, minItems: 1, maxItems: TOPICS_ITEMS_MAX }, (value) => {
    if (!Array.isArray(value) || value.length === 0) return 'Must be a non-empty array of topics';
    if (value.length > TOPICS_ITEMS_MAX) return `Too many topics (max ${TOPICS_ITEMS_MAX})`;
    const findings = value.flatMap((topic: unknown, index) => {
      if (TOPICS.some((known) => known === topic)) return [];
      return [{ path: [index], message: `Must be one of: ${TOPICS.join(', ')}` }];
    });
    return findings.length === 0 ? undefined : findings;
  }),
);

export const subscribe = serverCommand({
  type: 'subscribe',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: { ...envelopes.server, topics, scope: choiceField(['own', 'visible']).optional() },
  decide(frame) {
    const scope = frame.scope ?? 'visible';
    return change(frame.topics, (topics) => ({ type: 'subscribe', topics, scope }));
  },
});

export const unsubscribe = serverCommand({
  type: 'unsubscribe',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: { ...envelopes.server, topics },
  decide: (frame) => change(frame.topics, (topics) => ({ type: 'unsubscribe', topics })),
});

/** All topics or none: a client that asked for one it can't have is told before anything changes. */
function change(asked: readonly string[], effect: (topics: Topic[]) => ConnectionEffect): SettleDecision {
  const topics = [...new Set(asked)];
  const missing = topics.filter((topic) => !AVAILABLE.has(topic));
  if (missing.length > 0) {
    const names = missing.map((topic) => `'${topic}'`).join(', ');
    return refuse('UNSUPPORTED', `This server has no topic ${names}; it has ${[...AVAILABLE].join(', ')}`);
  }
  return {
    do: 'settle',
    outcome: { success: true, data: { topics } },
    effects: [effect(topics as Topic[])],
    unchanged: true,
  };
}
