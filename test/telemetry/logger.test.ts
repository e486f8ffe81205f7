import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createLogger, type LogLevel, type Logger } from '../../src/telemetry/logger.ts';
import { createOutput, type Output } from '../../src/telemetry/output.ts';

function setup(options: { level?: LogLevel; pretty?: boolean; waitingBytesMax?: number } = {}): {
  logger: Logger;
  output: Output;
  stream: PassThrough;
  text: () => string;
  lines: () => Record<string, unknown>[];
} {
  const stream = new PassThrough({ highWaterMark: 16 * 1024 * 1024 });
  const output = createOutput(stream, options.waitingBytesMax);
  const logger = createLogger(output, {
    level: options.level ?? 'info',
    pretty: options.pretty ?? false,
    color: false,
  });
  const text = (): string => (stream.read() as Buffer | null)?.toString() ?? '';
  const lines = (): Record<string, unknown>[] =>
    text()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { logger, output, stream, text, lines };
}

/** A reader that takes nothing until it is told to. */
function stalledReader(): { stream: Writable; taken: string[]; release(): void } {
  const taken: string[] = [];
  let next: (() => void) | undefined;
  let released = false;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (chunk.length > 0) taken.push(chunk.toString());
      if (released) done();
      else next = done;
    },
  });
  return {
    stream,
    taken,
    release() {
      released = true;
      next?.();
    },
  };
}

describe('a log line', () => {
  it('is JSON with the message and the ids of command and session as fields', () => {
    const { logger, lines } = setup();
    logger.write({ level: 'info', message: 'settled', commandId: 'c1', sessionId: 's1', tookMs: 3 });
    const [line] = lines();
    expect(line).toMatchObject({ level: 30, msg: 'settled', commandId: 'c1', sessionId: 's1', tookMs: 3 });
    expect(line).not.toHaveProperty('message');
    expect(Math.abs((line!.time as number) - Date.now())).toBeLessThan(60_000);
  });

  it('below the level is not written', () => {
    const { logger, lines } = setup({ level: 'warn' });
    logger.write({ level: 'info', message: 'no' });
    logger.write({ level: 'warn', message: 'yes' });
    expect(lines().map(({ msg }) => msg)).toEqual(['yes']);
  });

  it('shows an error with its stack, under both names', () => {
    const { logger, lines } = setup();
    logger.write({ level: 'error', message: 'm', err: new Error('one'), error: new Error('two') });
    const [line] = lines();
    expect(line).toMatchObject({ err: { message: 'one' }, error: { message: 'two' } });
    expect((line!.error as { stack: string }).stack).toContain('logger.test.ts');
  });

  it('on a terminal is text for people', () => {
    const { logger, text } = setup({ pretty: true });
    logger.write({ level: 'info', message: 'listening', port: 3141 });
    expect(text()).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: listening \{"port":3141\}\n$/);
  });

  it('is written in the moment it is logged, the fatal one too', () => {
    const { logger, lines } = setup();
    logger.fatal('it broke', new Error('why'));
    logger.fatal('it broke', 'a thrown text');
    expect(lines()).toMatchObject([
      { level: 60, msg: 'fatal: it broke', err: { message: 'why' } },
      { level: 60, msg: 'fatal: it broke', err: { message: 'a thrown text' } },
    ]);
  });
});

describe('the output', () => {
  it('drops and counts lines while nobody reads, and says so afterwards', async () => {
    const { stream, taken, release } = stalledReader();
    const output = createOutput(stream, 1000);
    const logger = createLogger(output, { level: 'info', pretty: false, color: false });
    for (let count = 0; count < 100; count += 1) logger.write({ level: 'info', message: 'x'.repeat(100) });
    release();
    await output.flush(60_000);
    const kept = taken.length;
    expect(kept).toBeGreaterThan(2);
    expect(kept).toBeLessThan(20);
    logger.write({ level: 'info', message: 'again' });
    await output.flush(60_000);
    const after = taken.slice(kept).map((line) => JSON.parse(line) as object);
    expect(after).toMatchObject([{ level: 40, lost: 100 - kept }, { msg: 'again' }]);
  });

  it('swallows a broken pipe and everything after it', async () => {
    const { logger, output, stream } = setup();
    const closed = new Promise((resolve) => stream.on('close', resolve));
    stream.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await closed;
    expect(() => logger.write({ level: 'info', message: 'x' })).not.toThrow();
    await output.flush(60_000);
  });

  it('flushes when the reader has taken everything', async () => {
    const { stream, release } = stalledReader();
    const output = createOutput(stream);
    output.write('x\n');
    let flushed = false;
    const done = output.flush(60_000).then(() => (flushed = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(flushed).toBe(false);
    release();
    await done;
  });

  it('gives up on a reader that stalls', async () => {
    const output = createOutput(stalledReader().stream);
    output.write('x\n');
    await output.flush(5);
  });
});
