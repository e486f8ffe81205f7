/**
 * Whose fault a failure of pi is. pi gives a text alone, without a code: HTTP failures read `NNN: ...`.
 */
import type { TurnFailure } from '../refused-turn.ts';

/** A provider may send a page of HTML. */
const MESSAGE_CHARS_MAX = 2_000;

const TOO_LONG = /context[_ ]length|context window|prompt (is )?too long|too many tokens|maximum context/i;
/** Request timeout, conflict, too early, too many requests: worth another try, so not the user's. */
const PROVIDERS_OWN = new Set([408, 409, 425, 429]);

/** A model's answer that is an error: a bad key or an unknown model is the user's, all else the provider's. */
export function modelFailure(errorMessage: string): TurnFailure {
  const status = Number(/^(\d{3})\b/.exec(errorMessage)?.[1] ?? 0);
  const refused = status >= 400 && status < 500 && !PROVIDERS_OWN.has(status);
  const kind = refused || TOO_LONG.test(errorMessage) ? 'user' : 'provider';
  return { status: 'failed', kind, message: cut(errorMessage || 'The model failed without a word') };
}

/** pi is not there. No mark against the engine: an open circuit would hide what is missing. */
export function unavailable(error: Error): TurnFailure {
  return { status: 'failed', kind: 'user', errorCode: 'ENGINE_UNAVAILABLE', message: error.message };
}

/** pi refused to begin: there is no model, or no key for it. */
export function refusal(error: unknown): TurnFailure {
  const why = error instanceof Error ? error.message.split('\n')[0]! : String(error);
  const remedy = 'log in with pi, set the provider’s key in the environment, or name provider and model in the input';
  return { status: 'failed', kind: 'user', errorCode: 'ENGINE_UNAVAILABLE', message: `${cut(why)} (${remedy})` };
}

function cut(text: string): string {
  return text.length > MESSAGE_CHARS_MAX ? `${text.slice(0, MESSAGE_CHARS_MAX)} ...` : text;
}
