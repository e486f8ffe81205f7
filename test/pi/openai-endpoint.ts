/**
 * A local endpoint that speaks OpenAI's chat completions, streamed, on the loopback interface alone. What it answers is said
 * by the newest user message, so that a test reads as a conversation:
 *
 *     say TEXT          TEXT, word by word
 *     words N           w1 w2 ... wN
 *     tool NAME JSON    calls the tool; told its result, answers `result: FIRST LINE`
 *     hang              one word, then nothing until the caller goes away
 *     http CODE         that status, with an error body
 *     cut               two words, then the connection is gone
 *
 * Every request is kept, with what the model was shown.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

interface ChatMessage {
  readonly role: string;
  readonly content: string | { readonly type: string; readonly text?: string }[] | null;
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  /** True once the caller went away before the answer's end. */
  abandoned: boolean;
}

export interface Endpoint {
  readonly url: string;
  readonly requests: readonly ChatRequest[];
  /** Resolves as soon as there are that many requests. */
  requested(count: number): Promise<ChatRequest>;
  close(): Promise<void>;
}

/** Between two words: long enough that a test can step in between. */
const WORD_DELAY_MS = 5;

export async function startEndpoint(): Promise<Endpoint> {
  const requests: ChatRequest[] = [];
  const waiting: { count: number; resolve: (request: ChatRequest) => void }[] = [];
  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing, (request) => {
      requests.push(request);
      for (const one of waiting.filter(({ count }) => count === requests.length)) one.resolve(request);
    }).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    requests,
    requested(count) {
      const there = requests[count - 1];
      return there === undefined ? new Promise((resolve) => waiting.push({ count, resolve })) : Promise.resolve(there);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The user's texts that the model was shown. */
function userTexts(request: ChatRequest): string[] {
  return request.messages.filter(({ role }) => role === 'user').map(textOf);
}

/** What the model was shown besides its instructions, as `role text`. */
export function conversation(request: ChatRequest): string[] {
  const said = request.messages.filter(({ role }) => role !== 'system' && role !== 'developer');
  return said.map((message) => `${message.role} ${textOf(message)}`.trim());
}

function textOf({ content }: ChatMessage): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => part.text ?? '').join('');
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  keep: (request: ChatRequest) => void,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as ChatRequest;
  const request: ChatRequest = { model: body.model, messages: body.messages, abandoned: false };
  outgoing.on('close', () => (request.abandoned = !outgoing.writableFinished));
  keep(request);

  const last = request.messages.at(-1);
  const [verb, ...rest] = (userTexts(request).at(-1) ?? '').split(' ');
  if (last?.role === 'tool') return say(outgoing, `result: ${textOf(last).split('\n')[0]}`);
  switch (verb) {
    case 'say':
      return say(outgoing, rest.join(' '));
    case 'words':
      return say(outgoing, Array.from({ length: Number(rest[0]) }, (_, index) => `w${index + 1}`).join(' '));
    case 'tool':
      return callTool(outgoing, rest[0] ?? '', rest.slice(1).join(' '));
    case 'hang':
      return stream(outgoing, ['one']);
    case 'cut':
      await stream(outgoing, ['one', ' two']);
      outgoing.destroy();
      return;
    case 'http':
      outgoing.writeHead(Number(rest[0]), { 'content-type': 'application/json' });
      outgoing.end(JSON.stringify({ error: { message: 'as asked for', type: 'test' } }));
      return;
    default:
      outgoing.writeHead(404).end();
  }
}

async function say(outgoing: ServerResponse, text: string): Promise<void> {
  await stream(outgoing, text.match(/\s*\S+/g) ?? []);
  finish(outgoing, 'stop');
}

async function stream(outgoing: ServerResponse, words: readonly string[]): Promise<void> {
  for (const content of words) {
    if (outgoing.destroyed) return;
    send(outgoing, { content });
    await wait(WORD_DELAY_MS);
  }
}

async function callTool(outgoing: ServerResponse, name: string, args: string): Promise<void> {
  const id = `call_${Math.random().toString(36).slice(2)}`;
  send(outgoing, { tool_calls: [{ index: 0, id, type: 'function', function: { name, arguments: '' } }] });
  for (const piece of args.match(/.{1,8}/gs) ?? []) {
    send(outgoing, { tool_calls: [{ index: 0, function: { arguments: piece } }] });
    await wait(WORD_DELAY_MS);
  }
  finish(outgoing, 'tool_calls');
}

function finish(outgoing: ServerResponse, reason: string): void {
  if (outgoing.destroyed) return;
  send(outgoing, {}, reason);
  outgoing.end('data: [DONE]\n\n');
}

function send(outgoing: ServerResponse, delta: object, reason: string | null = null): void {
  if (!outgoing.headersSent) outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
  const usage = reason === null ? {} : { usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } };
  const choices = [{ index: 0, delta, finish_reason: reason }];
  const chunk = { id: 'chat', object: 'chat.completion.chunk', created: 1, model: 'test', choices, ...usage };
  outgoing.write(`data: ${JSON.stringify(chunk)}\n\n`);
}
