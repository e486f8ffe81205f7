/** Frames that came in one piece are taken in turns: nobody has the event loop for itself, and each client keeps its order. */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Incoming } from '../../src/transports/incoming.ts';
import { Turnstile } from '../../src/transports/turnstile.ts';

/** What one turn of the event loop lets pass, and one connection of it at a stretch. */
const TURN = 64;
const STRETCH = 8;

function listener() {
  const turnstile = new Turnstile();
  const taken: string[] = [];
  return {
    taken,
    takenOf: (name: string) => taken.filter((frame) => frame.startsWith(name)),
    connection(name: string) {
      const source = {
        paused: false,
        pause: () => void (source.paused = true),
        resume: () => void (source.paused = false),
      };
      const incoming = new Incoming(turnstile, source, (frame) => taken.push(frame.toString().trimEnd()));
      let sent = 0;
      return {
        source,
        end: () => incoming.end(),
        send(count: number, bytes = 0) {
          for (let index = 0; index < count; index += 1) incoming.add(Buffer.from(`${name}${sent++}`.padEnd(bytes)));
        },
      };
    },
  };
}

const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, index) => name + index);

async function allTurns(done: () => boolean): Promise<number> {
  let turns = 0;
  for (; !done(); turns += 1) {
    if (turns > 10_000) throw new Error('Frames wait for ever.');
    await turn();
  }
  return turns;
}

describe('the frames of one connection', () => {
  it('are taken at once when they are few', () => {
    const { taken, connection } = listener();
    connection('a').send(STRETCH);
    expect(taken).toEqual(numbered('a', STRETCH));
  });

  it('are taken in the order in which they came, also those that come while others wait', async () => {
    const { taken, connection } = listener();
    const a = connection('a');
    a.send(200);
    await turn();
    a.send(1);
    await turn();
    a.send(100);
    await allTurns(() => taken.length === 301);
    expect(taken).toEqual(numbered('a', 301));
  });

  it('are all taken at its end', () => {
    const { taken, connection } = listener();
    const a = connection('a');
    a.send(500);
    a.end();
    expect(taken).toEqual(numbered('a', 500));
  });

  it('stop its socket while too many bytes of them wait, until none does', async () => {
    const { taken, connection } = listener();
    const a = connection('a');
    a.send(200, 2000);
    expect(a.source.paused).toBe(true);
    await allTurns(() => !a.source.paused);
    expect(taken).toEqual(numbered('a', 200));
  });

  it('let its socket go on when they are dropped with it', () => {
    const { connection } = listener();
    const a = connection('a');
    a.send(200, 2000);
    a.end();
    expect(a.source.paused).toBe(false);
  });
});

describe('the frames of many connections', () => {
  it('do not fill a turn of the event loop beyond its bound, however many there are', async () => {
    const { taken, connection } = listener();
    const all = Array.from({ length: 50 }, (_, index) => connection(`${index}:`));
    for (const one of all) one.send(40);
    expect(taken).toHaveLength(TURN);
    let before = taken.length;
    const turns = await allTurns(() => {
      expect(taken.length - before).toBeLessThanOrEqual(TURN);
      before = taken.length;
      return taken.length === 50 * 40;
    });
    expect(turns).toBeLessThan(40);
  });

  it('go round: one frame is not kept waiting by the thousands of another', async () => {
    const { taken, takenOf, connection } = listener();
    const flood = connection('flood');
    const [one, two] = [connection('one'), connection('two')];
    flood.send(5_000);
    one.send(1);
    two.send(20);
    expect(takenOf('one')).toEqual(['one0']);
    await turn();
    await turn();
    expect(takenOf('two')).toEqual(numbered('two', 20));
    expect(taken.length).toBeLessThan(4 * TURN);
    await allTurns(() => taken.length === 5_021);
    expect(takenOf('flood')).toEqual(numbered('flood', 5_000));
  });
});
