/**
 * Checks of `create_session.input`: one schema per engine, and one way to say what is wrong, with the path to it.
 */
import { z } from 'zod';
import type { Json } from '../../actors/message.ts';

/** Node runs a longer timer at once. */
const DELAY_MS_MAX = 2 ** 31 - 1;

export const delayMs = z.int().min(0).max(DELAY_MS_MAX);

/** A text for people: every offence with its path, `turns[0][2].delayMs: ...`. Values are not quoted, they may be secret. */
function describeIssues(issues: readonly z.core.$ZodIssue[]): string {
  return issues
    .flatMap((issue) => {
      if (issue.code !== 'unrecognized_keys') return [`${pathText(issue.path)}: ${issue.message}`];
      return issue.keys.map((key) => `${pathText([...issue.path, key])}: unknown key`);
    })
    .join('; ');
}

/** The checked input, or what is wrong with it. */
export function checkInput<Input>(schema: z.ZodType<Input>, input: Json): { input: Input } | { problem: string } {
  const checked = schema.safeParse(input);
  return checked.success ? { input: checked.data } : { problem: describeIssues(checked.error.issues) };
}

function pathText(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return text === '' ? 'input' : text.replace(/^[.]/, '');
}
