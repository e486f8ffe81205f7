/** F5: under an outage each class of operation falls back in its own way, and nothing is lost in silence. */
import { describe, expect, it } from 'vitest';
import { createScene } from '../support/scene.ts';
import { entriesOf } from '../support/store.ts';

const full = (): Error => Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });

describe('F5: in an outage of the journal', () => {
  it('a write is refused at once or is there afterwards, and a read shows what was durable, marked as stale', async () => {
    const { world, send, response } = await createScene();
    await send({ type: 'set_session_name', id: 'before', sessionId: 's', name: 'before' });
    world.journal.keepFailing(full());
    const during = Array.from({ length: 20 }, (_, index) => `during ${index}`);
    for (const id of during) {
      await send({ type: 'set_session_name', id, sessionId: 's', name: id });
      await world.advance(0);
    }
    for (const id of during) expect(response(id)).toMatchObject({ errorCode: 'JOURNAL_UNAVAILABLE' });
    await send({ type: 'get_state', id: 'stale', sessionId: 's' });
    expect(response('stale')).toMatchObject({ success: true, stale: true, data: { sessionName: 'before' } });

    world.journal.mend();
    await world.advance(20_000);
    await send({ type: 'get_state', id: 'after', sessionId: 's' });
    expect(response('after')).toMatchObject({ success: true, data: { sessionName: 'before' } });
    expect(response('after')).not.toHaveProperty('stale');
    // What was refused left nothing behind: the same frame again is a first one, and is there.
    await send({ type: 'set_session_name', id: during[0]!, sessionId: 's', name: 'again' });
    await send({ type: 'get_state', id: 'written', sessionId: 's' });
    expect(response('written')).toMatchObject({ data: { sessionName: 'again' } });
    const entries = await entriesOf(world.store);
    const named = entries.flatMap((entry) => (entry.kind === 'command.settled' ? [entry.commandId] : []));
    expect(named.filter((id) => during.includes(id))).toEqual([during[0]]);
  });

  it('what was accepted before it ends once, after it', async () => {
    const { world, client, engine, send, response } = await createScene();
    await send({ type: 'prompt', id: 'p', sessionId: 's', message: 'p' });
    client.send({ type: 'prompt', id: 'accepted', sessionId: 's', message: 'later' });
    await world.settle();
    world.journal.keepFailing(full());
    await send({ type: 'set_session_name', id: 'refused', sessionId: 's', name: 'n' });
    expect(response('accepted')).toBeUndefined();
    world.journal.mend();
    await world.advance(20_000);
    // The turn was told to stop; what waited behind it is taken back, and begins when the engine has let go.
    expect(response('p')).toMatchObject({ errorCode: 'INTERRUPTED' });
    engine.turn.finish();
    await world.settle();
    engine.turn.finish();
    await world.settle();
    expect(response('accepted')).toMatchObject({ success: true });
    const ended = client.responses().filter(({ id }) => id === 'p' || id === 'accepted');
    expect(ended.map(({ id }) => id)).toEqual(['p', 'accepted']);
  });
});
