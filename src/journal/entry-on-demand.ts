/**
 * An entry whose parts are read from their stored form when somebody asks for them: whoever folds a lane asks for few of them,
 * and reading all of them costs more than the fold.
 *
 * Of the two kinds that a lane is full of, what a fold asks is found by the shape of their text, which is the one that they are
 * stored in; a text of any other shape is parsed. Good for reading fields, and for nothing else that is done with objects. What
 * is damaged in a part that nobody asks for is not noticed. State: volatile.
 */
import type { Entry, EntryKind } from '../../actors/entry.ts';
import { mustBeKnownForm, parsedContent } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { BOOLEAN, flag, known, number, NUMBER, shaped, text, TEXT, TRUE } from './meta-shape.ts';

type Place = 'offset' | 'lane' | 'laneSeq' | 'at' | 'kind';
/** Of entries of every kind, what stands in their meta. */
type Field = Entry extends infer E
  ? E extends Entry
    ? Exclude<keyof E, Place | 'content' | 'blanked'>
    : never
  : never;

/** Fails to compile when there is a field that is not among them. */
const FIELDS: Readonly<Record<Field, true>> = {
  acceptedOffset: true,
  attempt: true,
  boot: true,
  classified: true,
  commandId: true,
  commandType: true,
  deadlineAt: true,
  dependsOn: true,
  ended: true,
  epoch: true,
  errorCode: true,
  eventType: true,
  expired: true,
  explicitId: true,
  extensions: true,
  fingerprint: true,
  idempotencyKey: true,
  interrupted: true,
  keyScope: true,
  mailbox: true,
  ok: true,
  passive: true,
  principal: true,
  recovered: true,
  redacted: true,
  requeued: true,
  seq: true,
  serverVersion: true,
  sessionId: true,
  sessions: true,
  sessionVersion: true,
  startedAt: true,
  success: true,
  task: true,
  timedOut: true,
  tookMs: true,
  traceparent: true,
  trigger: true,
};

type Meta = { readonly [field in Field]?: unknown };

/** What is thrown for a part that does not read as what it is. */
export type Damaged = (record: EntryRecord, error: unknown) => Error;

/** @throws what `damaged` makes of a form that this version does not know, now; of other damage when somebody comes to it. */
export function onDemand(record: EntryRecord, damaged: Damaged): Entry {
  try {
    mustBeKnownForm(record);
  } catch (error) {
    throw damaged(record, error);
  }
  return formOf(record, damaged) as unknown as Entry;
}

function formOf(record: EntryRecord, damaged: Damaged): EntryOnDemand {
  if (record.kind === 'command.settled') return new SettledOnDemand(record, damaged);
  if (record.kind === 'session.event') return new EventOnDemand(record, damaged);
  if (record.kind === 'command.accepted') return new AcceptedOnDemand(record, damaged);
  if (record.kind === 'command.started') return new StartedOnDemand(record, damaged);
  if (record.kind === 'command.finished') return new FinishedOnDemand(record, damaged);
  return new EntryOnDemand(record, damaged);
}

class EntryOnDemand {
  readonly offset: number;
  readonly lane: string;
  readonly laneSeq: number;
  readonly at: number;
  readonly kind: EntryKind;
  readonly #record: EntryRecord;
  readonly #damaged: Damaged;
  #meta: Meta | undefined;
  #content: unknown;

  constructor(record: EntryRecord, damaged: Damaged) {
    this.offset = record.offset;
    this.lane = record.lane;
    this.laneSeq = record.laneSeq;
    this.at = record.at;
    this.kind = record.kind;
    this.#record = record;
    this.#damaged = damaged;
  }

  get blanked(): true | undefined {
    return this.#record.digest === undefined ? undefined : true;
  }

  get content(): unknown {
    if (this.#content === undefined) {
      try {
        this.#content = parsedContent(this.#record.content);
      } catch (error) {
        throw this.#damaged(this.#record, error);
      }
    }
    return this.#content;
  }

  get meta(): Meta {
    if (this.#meta === undefined) {
      try {
        this.#meta = JSON.parse(this.#record.meta) as Meta;
      } catch (error) {
        throw this.#damaged(this.#record, error);
      }
    }
    return this.#meta;
  }
}

for (const field of Object.keys(FIELDS) as Field[]) {
  Object.defineProperty(EntryOnDemand.prototype, field, {
    get(this: EntryOnDemand) {
      return this.meta[field];
    },
  });
}

const SETTLED = shaped([
  ['commandId', TEXT],
  ['commandType', TEXT],
  ['explicitId', BOOLEAN],
  ['principal', TEXT],
  ['mailbox', TEXT],
  ['sessionId?', TEXT],
  ['idempotencyKey?', TEXT],
  ['keyScope?', TEXT],
  ['traceparent?', TEXT],
  ['=passive?', TRUE],
  ['=success', BOOLEAN],
  ['errorCode?', TEXT],
  ['timedOut?', TRUE],
  ['=sessionVersion?', NUMBER],
  ['=seq?', NUMBER],
]);

class SettledOnDemand extends EntryOnDemand {
  readonly passive: unknown;
  readonly success: unknown;
  readonly sessionVersion: unknown;
  readonly seq: unknown;
  readonly redacted: unknown;

  constructor(record: EntryRecord, damaged: Damaged) {
    super(record, damaged);
    const found = SETTLED.exec(record.meta);
    const meta = found === null ? this.meta : undefined;
    this.passive = meta === undefined ? flag(found![1]) : meta.passive;
    this.success = meta === undefined ? found![2] === 'true' : meta.success;
    this.sessionVersion = meta === undefined ? number(found![3]) : meta.sessionVersion;
    this.seq = meta === undefined ? number(found![4]) : meta.seq;
    this.redacted = meta === undefined ? flag(found![5]) : meta.redacted;
  }
}

const EVENT = shaped([
  ['sessionId', TEXT],
  ['commandId?', TEXT],
  ['=seq', NUMBER],
  ['=eventType', '"\\w+"'],
]);

class EventOnDemand extends EntryOnDemand {
  readonly seq: unknown;
  readonly eventType: unknown;
  readonly redacted: unknown;

  constructor(record: EntryRecord, damaged: Damaged) {
    super(record, damaged);
    const found = EVENT.exec(record.meta);
    const meta = found === null ? this.meta : undefined;
    this.seq = meta === undefined ? number(found![1]) : meta.seq;
    this.eventType = meta === undefined ? known(found![2]!) : meta.eventType;
    this.redacted = meta === undefined ? flag(found![3]) : meta.redacted;
  }
}

const ACCEPTED = shaped([
  ['=commandId', TEXT],
  ['commandType', TEXT],
  ['explicitId', BOOLEAN],
  ['principal', TEXT],
  ['=mailbox', TEXT],
  ['sessionId?', TEXT],
  ['idempotencyKey?', TEXT],
  ['keyScope?', TEXT],
  ['traceparent?', TEXT],
  ['=passive?', TRUE],
  ['=deadlineAt?', NUMBER],
]);

class AcceptedOnDemand extends EntryOnDemand {
  readonly commandId: unknown;
  readonly mailbox: unknown;
  readonly passive: unknown;
  readonly deadlineAt: unknown;
  readonly redacted: unknown;

  constructor(record: EntryRecord, damaged: Damaged) {
    super(record, damaged);
    const found = ACCEPTED.exec(record.meta);
    const meta = found === null ? this.meta : undefined;
    this.commandId = meta === undefined ? text(found![1]!) : meta.commandId;
    this.mailbox = meta === undefined ? text(found![2]!) : meta.mailbox;
    this.passive = meta === undefined ? flag(found![3]) : meta.passive;
    this.deadlineAt = meta === undefined ? number(found![4]) : meta.deadlineAt;
    this.redacted = meta === undefined ? flag(found![5]) : meta.redacted;
  }
}

const STARTED = shaped([
  ['=commandId', TEXT],
  ['sessionId?', TEXT],
  ['=acceptedOffset', NUMBER],
  ['=attempt', NUMBER],
]);

class StartedOnDemand extends EntryOnDemand {
  readonly commandId: unknown;
  readonly acceptedOffset: unknown;
  readonly attempt: unknown;
  readonly redacted: unknown;

  constructor(record: EntryRecord, damaged: Damaged) {
    super(record, damaged);
    const found = STARTED.exec(record.meta);
    const meta = found === null ? this.meta : undefined;
    this.commandId = meta === undefined ? text(found![1]!) : meta.commandId;
    this.acceptedOffset = meta === undefined ? number(found![2]) : meta.acceptedOffset;
    this.attempt = meta === undefined ? number(found![3]) : meta.attempt;
    this.redacted = meta === undefined ? flag(found![4]) : meta.redacted;
  }
}

const FINISHED = shaped([
  ['commandId', TEXT],
  ['commandType', TEXT],
  ['=acceptedOffset', NUMBER],
  ['sessionId?', TEXT],
  ['=interrupted?', TRUE],
  ['recovered?', TEXT],
  ['=passive?', TRUE],
  ['=success', BOOLEAN],
  ['errorCode?', TEXT],
  ['=timedOut?', TRUE],
  ['=sessionVersion?', NUMBER],
  ['=seq?', NUMBER],
]);

class FinishedOnDemand extends EntryOnDemand {
  readonly acceptedOffset: unknown;
  readonly interrupted: unknown;
  readonly passive: unknown;
  readonly success: unknown;
  readonly timedOut: unknown;
  readonly sessionVersion: unknown;
  readonly seq: unknown;
  readonly redacted: unknown;

  constructor(record: EntryRecord, damaged: Damaged) {
    super(record, damaged);
    const found = FINISHED.exec(record.meta);
    const meta = found === null ? this.meta : undefined;
    this.acceptedOffset = meta === undefined ? number(found![1]) : meta.acceptedOffset;
    this.interrupted = meta === undefined ? flag(found![2]) : meta.interrupted;
    this.passive = meta === undefined ? flag(found![3]) : meta.passive;
    this.success = meta === undefined ? found![4] === 'true' : meta.success;
    this.timedOut = meta === undefined ? flag(found![5]) : meta.timedOut;
    this.sessionVersion = meta === undefined ? number(found![6]) : meta.sessionVersion;
    this.seq = meta === undefined ? number(found![7]) : meta.seq;
    this.redacted = meta === undefined ? flag(found![8]) : meta.redacted;
  }
}
