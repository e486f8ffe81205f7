/**
 * The language of the `scripted` engine's input. A step is an object with one key and its options:
 *
 *     {"text":"...", "delayMs"?}            streams words, waiting before each if asked to; a message of its own
 *     {"delayMs":N}                         waits
 *     {"tool":{"name", "args"?, "result"?, "delayMs"?}}
 *     {"ask":{"method", "title"?, "options"?, "timeoutMs"?, "roles"?}}
 *     {"fail":"message", "kind"?}           kind: provider (the default), user or timeout
 *     {"hang":true}                         until aborted
 *     {"throw":"message"}                   a bug inside the engine
 *     {"crashProcess":true}
 *     {"usage":{"input"?, "output"?}}       tokens
 */
import { z } from 'zod';
import type { Json } from '../../actors/message.ts';
import { delayMs } from './input.ts';

const json = z.json() as z.ZodType<Json>;
const count = z.int().min(0).default(0);

/** By key, in the order in which keys are looked for: `delayMs` beside `text` is an option. */
const STEPS = {
  text: z.strictObject({ text: z.string(), delayMs: delayMs.default(0) }),
  tool: z.strictObject({
    tool: z.strictObject({
      name: z.string().min(1),
      args: json.default({}),
      result: json.default(''),
      delayMs: delayMs.default(0),
    }),
  }),
  ask: z.strictObject({
    ask: z.strictObject({
      method: z.enum(['select', 'confirm', 'input', 'editor', 'interview']),
      title: z.string().optional(),
      options: json.optional(),
      timeoutMs: delayMs.optional(),
      roles: z.array(z.string()).optional(),
    }),
  }),
  fail: z
    .strictObject({ fail: z.string(), kind: z.enum(['provider', 'user', 'timeout']).default('provider') })
    .transform(({ fail, kind }) => ({ fail, of: kind })),
  hang: z.strictObject({ hang: z.literal(true) }),
  throw: z.strictObject({ throw: z.string() }),
  crashProcess: z.strictObject({ crashProcess: z.literal(true) }),
  usage: z.strictObject({ usage: z.strictObject({ input: count, output: count }) }),
  delayMs: z.strictObject({ delayMs }),
};

type StepKind = keyof typeof STEPS;
export type ScriptedStep = { [Kind in StepKind]: { kind: Kind } & z.output<(typeof STEPS)[Kind]> }[StepKind];

const KINDS = Object.keys(STEPS) as StepKind[];

const step = z.looseObject({}).transform((value, context): ScriptedStep => {
  const kind = KINDS.find((key) => Object.hasOwn(value, key));
  if (kind === undefined) {
    context.addIssue({ code: 'custom', message: `A step has one of the keys ${KINDS.join(', ')}` });
    return z.NEVER;
  }
  const checked = STEPS[kind].safeParse(value);
  if (checked.success) return { kind, ...checked.data } as ScriptedStep;
  context.issues.push(...checked.error.issues.map((issue) => ({ ...issue, input: undefined })));
  return z.NEVER;
});

const TURNS_MAX = 1_000;
const STEPS_MAX = 1_000;

const turns = z.array(z.array(step).max(STEPS_MAX)).min(1).max(TURNS_MAX);

export const scriptedInput = z.strictObject({ turns }, 'Expected {"turns":[[STEP, ...], ...]}');
