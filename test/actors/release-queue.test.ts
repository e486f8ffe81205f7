/** What is held leaves when its batch is durable, in order, and never if it does not become so. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReleaseQueue } from '../../actors/release-queue.ts';

const fail = (error: unknown): never => {
  throw error;
};

describe('the release queue', () => {
  it('lets go at once of what waits for nothing', () => {
    const queue = new ReleaseQueue(fail);
    const left: string[] = [];
    queue.hold(0, () => left.push('now'));
    queue.hold(1, () => left.push('later'));
    expect(left).toEqual(['now']);
    expect(queue.heldCount).toBe(1);
    queue.complete(1);
    queue.hold(1, () => left.push('at once'));
    expect(left).toEqual(['now', 'later', 'at once']);
    expect(queue).toMatchObject({ durable: 1, heldCount: 0 });
  });

  it('lets nothing overtake what waits in the same pass', () => {
    const queue = new ReleaseQueue(fail);
    const left: string[] = [];
    queue.hold(1, () => {
      left.push('first');
      queue.hold(0, () => left.push('caused'));
      queue.hold(1, () => {
        left.push('caused too');
        queue.hold(1, () => left.push('and by that'));
      });
    });
    queue.hold(1, () => left.push('second'));
    queue.complete(1);
    expect(left).toEqual(['first', 'second', 'caused', 'caused too', 'and by that']);
    expect(queue.heldCount).toBe(0);
  });

  it('keeps what a pass holds for a later batch', () => {
    const queue = new ReleaseQueue(fail);
    const left: string[] = [];
    queue.hold(1, () => queue.hold(2, () => left.push('later')));
    queue.complete(1);
    expect(left).toEqual([]);
    queue.complete(2);
    expect(left).toEqual(['later']);
  });

  it('lets go of nothing after a failure', () => {
    const queue = new ReleaseQueue(fail);
    const left: string[] = [];
    queue.hold(1, () => left.push('never'));
    queue.hold(2, () => left.push('never'));
    queue.abandon();
    expect(queue.heldCount).toBe(0);
    queue.complete(2);
    expect(left).toEqual([]);
  });

  it('tells those who are owed an answer that it will never be durable', () => {
    const queue = new ReleaseQueue(fail);
    const told: boolean[] = [];
    queue.hold(0, { tell: (durable) => told.push(durable) });
    queue.hold(1, { tell: (durable) => told.push(durable) });
    queue.abandon();
    expect(told).toEqual([true, false]);
  });

  it('lets the others leave when one throws', () => {
    const crashes: unknown[] = [];
    const queue = new ReleaseQueue((error) => crashes.push(error));
    const left: string[] = [];
    queue.hold(1, () => {
      throw new Error('a defect');
    });
    queue.hold(1, () => left.push('behind it'));
    queue.complete(1);
    expect(left).toEqual(['behind it']);
    expect(crashes).toEqual([new Error('a defect')]);
  });

  it('releases in the order of batches, and of holding within one', () => {
    const batches = fc.array(fc.record({ newest: fc.boolean(), back: fc.nat(3) }), { maxLength: 100 });
    fc.assert(
      fc.property(batches, (holds) => {
        const queue = new ReleaseQueue(fail);
        const left: { batch: number; order: number }[] = [];
        const held: { batch: number; order: number }[] = [];
        let newest = 1;
        let durable = 0;
        holds.forEach(({ newest: next, back }, order) => {
          // Now and then a batch is handed over, and the one before it becomes durable.
          if (next && order % 5 === 0) newest += 1;
          if (!next && durable < newest - 1) queue.complete((durable += 1));
          const batch = Math.max(durable + 1, newest - back);
          held.push({ batch, order });
          queue.hold(batch, () => left.push({ batch, order }));
        });
        while (durable < newest) queue.complete((durable += 1));
        expect(left).toEqual(held.sort((a, b) => a.batch - b.batch || a.order - b.order));
      }),
    );
  });
});
