/** A session at a place of its history, for people: its chart with the active states marked, and what it knows. Pure. */
import { sessionMachine } from '../../machines/session.ts';
import type { ChartView, Json, SessionPicture } from '../../actors/message.ts';
import type { Change } from './difference.ts';
import { printable } from './offline.ts';

const VALUE_CHARS_MAX = 100;
const MESSAGES_SHOWN = 6;

/** Shown with words of their own, or of no use to people. */
const APART: ReadonlySet<string> = new Set(['sessionId', 'epoch', 'incarnation', 'seq', 'messages', 'mailboxDepthMax']);

export function pictureLines(picture: SessionPicture): string[] {
  const { epoch, value, context, children } = picture;
  const { sessionId, messages } = context;
  const facts = Object.entries(context).filter(([name, fact]) => !APART.has(name) && !isEmpty(fact));
  return [
    `session ${String(sessionId)} at event ${picture.seq} of epoch ${epoch}`,
    '',
    ...chartLines(sessionMachine.config, value, ''),
    ...childLines(children, ''),
    '',
    ...facts.map(([name, fact]) => `${name.padEnd(16)}${shortly(asTime(name, fact))}`),
    ...messageLines(Array.isArray(messages) ? messages : []),
  ].map(printable);
}

export function changeLines(changes: readonly Change[], from: number, to: number): string[] {
  const head = `${changes.length} ${changes.length === 1 ? 'difference' : 'differences'} from event ${from} to event ${to}`;
  const lines = changes.map(({ path, before, after }) => {
    if (before === undefined) return `+ ${path}: ${shortly(after!)}`;
    if (after === undefined) return `- ${path}: ${shortly(before)}`;
    return `~ ${path}: ${shortly(before)} -> ${shortly(after)}`;
  });
  return [head, ...lines].map(printable);
}

interface ChartConfig {
  readonly states?: { readonly [name: string]: ChartConfig | undefined } | undefined;
}

/** One line a state; those the session is in are marked. */
function chartLines({ states = {} }: ChartConfig, value: Json | undefined, indent: string): string[] {
  return Object.entries(states).flatMap(([name, state]) => {
    const inside = typeof value === 'object' && value !== null && !Array.isArray(value) ? value[name] : undefined;
    const active = value === name || inside !== undefined;
    const line = `${indent}${active ? '●' : '○'} ${name}`;
    return [line, ...chartLines(state ?? {}, active ? inside : undefined, `${indent}  `)];
  });
}

function childLines(children: ChartView['children'], indent: string): string[] {
  return Object.entries(children).flatMap(([name, child]) => {
    const knows = JSON.stringify(child.context) === '{}' ? '' : ` ${shortly(child.context)}`;
    return [`${indent}+ ${name}: ${stateText(child.value)}${knows}`, ...childLines(child.children, `${indent}  `)];
  });
}

/** `{a:{b:'c'}}` as `a.b.c`. */
function stateText(value: Json): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return String(value);
  return Object.entries(value)
    .map(([name, inside]) => {
      const below = stateText(inside);
      return below === '' ? name : `${name}.${below}`;
    })
    .join(', ');
}

function messageLines(messages: readonly Json[]): string[] {
  const left = messages.length - MESSAGES_SHOWN;
  const title = `messages        ${messages.length}${left > 0 ? `, the last ${MESSAGES_SHOWN}:` : ''}`;
  return [title, ...messages.slice(-MESSAGES_SHOWN).map((message) => `  ${messageText(message)}`)];
}

function messageText(message: Json): string {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return shortly(message);
  const { role, content } = message;
  const texts = (Array.isArray(content) ? content : [content ?? null]).map((part) => {
    if (typeof part === 'object' && part !== null && !Array.isArray(part) && typeof part['text'] === 'string')
      return part['text'];
    return JSON.stringify(part);
  });
  return cut(`${typeof role === 'string' ? role : 'message'}: ${texts.join(' ')}`);
}

function isEmpty(value: Json): boolean {
  return value === null || (Array.isArray(value) && value.length === 0);
}

function asTime(name: string, value: Json): Json {
  return name.endsWith('At') && typeof value === 'number' ? new Date(value).toISOString() : value;
}

function shortly(value: Json): string {
  return cut(typeof value === 'string' ? value : JSON.stringify(value));
}

function cut(text: string): string {
  return text.length <= VALUE_CHARS_MAX ? text : `${text.slice(0, VALUE_CHARS_MAX - 1)}…`;
}
