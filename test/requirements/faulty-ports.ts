/**
 * Ports whose methods a test lets fail, one by one: the journal and the engine as they are, until a method is told to fail.
 * It lies below everything that the runtime knows of them. State: volatile.
 */
import type { Engine, Journal, TurnHandle } from '../../actors/ports.ts';

/** Names of the methods of a port. */
export type MethodOf<Port> = {
  [Name in keyof Port]: Port[Name] extends (...given: never[]) => unknown ? Name : never;
}[keyof Port];

/** `watch` is not asked: it is how a journal says that it is gone. */
export type JournalMethod = Exclude<MethodOf<Required<Journal>>, 'watch'>;
/** What an engine and its turns are asked, and `finished`, which is asked by waiting. */
export type EngineMethod = MethodOf<Engine> | MethodOf<TurnHandle> | 'finished';

export interface FaultyJournal extends Journal {
  /** From now on the method fails as it does when the disk does: it rejects, and `append` tells its batch. */
  fail(method: JournalMethod, error: Error): void;
  mend(): void;
}

export function createFaultyJournal(journal: Journal): FaultyJournal {
  const faults = new Map<JournalMethod, Error>();
  /** A journal that failed stays so until it is opened again. */
  let failure: Error | undefined;
  const guarded = async <T>(method: JournalMethod, act: () => Promise<T>): Promise<T> => {
    const fault = faults.get(method);
    if (fault !== undefined) throw fault;
    return act();
  };
  return {
    durability: journal.durability,
    location: journal.location,
    open: () =>
      guarded('open', async () => {
        if (failure !== undefined) await journal.close();
        failure = undefined;
        return journal.open();
      }),
    append(entries, done) {
      failure ??= faults.get('append');
      const failed = failure;
      if (failed === undefined) journal.append(entries, done);
      else setImmediate(() => done(failed));
    },
    scan: (range) => guarded('scan', () => journal.scan(range)),
    read: (offset) => guarded('read', () => journal.read(offset)),
    verify: (last) => guarded('verify', () => journal.verify(last)),
    head: (lane) => guarded('head', () => journal.head(lane)),
    blank: (range) => guarded('blank', () => journal.blank(range)),
    backup: (at) => guarded('backup', () => journal.backup(at)),
    lanes: (after, limit) => guarded('lanes', () => journal.lanes(after, limit)),
    drop: (lane, before) => guarded('drop', () => journal.drop(lane, before)),
    anchors: () => guarded('anchors', () => journal.anchors()),
    remains: (after, limit) => guarded('remains', () => journal.remains(after, limit)),
    trimRemains: (max) => guarded('trimRemains', () => journal.trimRemains(max)),
    size: () => guarded('size', () => journal.size()),
    keepSnapshot(snapshot, failed) {
      const fault = faults.get('keepSnapshot');
      if (fault === undefined) journal.keepSnapshot(snapshot, failed);
      else setImmediate(() => failed(fault));
    },
    snapshot: (lane) => guarded('snapshot', () => journal.snapshot(lane)),
    keepPart: (offset, part, bytes) => guarded('keepPart', () => journal.keepPart(offset, part, bytes)),
    sealCheckpoint: (head) => guarded('sealCheckpoint', () => journal.sealCheckpoint(head)),
    checkpoints: () => guarded('checkpoints', () => journal.checkpoints()),
    checkpointPart: (offset, part) => guarded('checkpointPart', () => journal.checkpointPart(offset, part)),
    close: () => guarded('close', () => journal.close()),
    fail: (method, error) => void faults.set(method, error),
    mend: () => faults.clear(),
  };
}

export interface FaultyEngine extends Engine {
  /** From now on the method fails: what is synchronous throws, what is not rejects. */
  fail(method: EngineMethod, error: Error): void;
  mend(): void;
}

export function createFaultyEngine(engine: Engine): FaultyEngine {
  const faults = new Map<EngineMethod, Error>();
  const check = (method: EngineMethod): void => {
    const fault = faults.get(method);
    if (fault !== undefined) throw fault;
  };
  const turnOf = (turn: TurnHandle): TurnHandle => ({
    steer(message) {
      check('steer');
      return turn.steer(message);
    },
    followUp(message) {
      check('followUp');
      return turn.followUp(message);
    },
    finished: turn.finished.then((result) => {
      check('finished');
      return result;
    }),
  });
  return {
    kind: engine.kind,
    capabilities: engine.capabilities,
    // An engine that has to be loaded, so that it is asked to.
    get ready() {
      return !faults.has('prepare') && engine.ready;
    },
    checkInput(input) {
      check('checkInput');
      return engine.checkInput(input);
    },
    async prepare() {
      check('prepare');
      await engine.prepare();
    },
    start(request, emit) {
      check('start');
      return turnOf(engine.start(request, emit));
    },
    forget(sessionId) {
      check('forget');
      engine.forget(sessionId);
    },
    async close() {
      check('close');
      await engine.close();
    },
    fail: (method, error) => void faults.set(method, error),
    mend: () => faults.clear(),
  };
}
