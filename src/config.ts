/**
 * The options of a server: their shape, their defaults and the reasons for these, as data.
 *
 * Every key has an effect in this version; where each value comes from (command line, environment, file) is
 * `config-sources.ts`. State: none.
 */
import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { compileRules } from './protocol/redaction-rules.ts';

const MIB = 1024 * 1024;
const DEFAULT_PORT = 3141;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
/** Ten years: a session for ever, as far as one server is concerned. */
const LIFE_MS_MAX = 3_650 * 24 * HOUR_MS;

/** Longest wait that a timer of Node can hold: 24.8 days. */
const WAIT_MS_MAX = 2 ** 31 - 1;
const COUNT_MAX = 10_000_000;
const BYTES_MAX = 1024 * MIB;
/** A frame becomes a string, and V8 ends those at 512 MiB. */
const FRAME_BYTES_MAX = 256 * MIB;

function whole(min: number, max: number): z.ZodNumber {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}

const count = (fallback: number): z.ZodDefault<z.ZodNumber> => whole(1, COUNT_MAX).default(fallback);
const bytes = (fallback: number): z.ZodDefault<z.ZodNumber> => whole(1, BYTES_MAX).default(fallback);
const waitMs = (fallback: number): z.ZodDefault<z.ZodNumber> => whole(1, WAIT_MS_MAX).default(fallback);
const lifeMs = (fallback: number): z.ZodDefault<z.ZodNumber> => whole(1, LIFE_MS_MAX).default(fallback);
const flag = (fallback: boolean): z.ZodDefault<z.ZodBoolean> =>
  z.boolean({ error: 'must be true or false' }).default(fallback);

function choice<const T extends readonly [string, ...string[]]>(values: T, fallback: T[number]) {
  return z.enum(values, { error: `must be one of: ${values.join(', ')}` }).default(() => fallback);
}

/** A folder or file that has a default place: `null` is that place. */
const place = z.string({ error: 'must be a path, or null' }).min(1, { error: 'must be a path, or null' }).nullable();

const texts = z.array(z.string({ error: 'must be a text' }), { error: 'must be a list of texts' });

function section<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, { error: 'must be an object' }).prefault(() => ({}) as z.input<z.ZodObject<T>>);
}

const schema = z.strictObject({
  /** Whoever can connect can do everything, as long as there is no authentication: this machine alone. */
  host: z
    .string({ error: 'must be a host name or an address' })
    .refine(isLoopback, {
      error:
        'would be reachable from other machines, which needs authentication, and that is not part of this version yet: ' +
        'use 127.0.0.1, ::1 or localhost',
    })
    .default('127.0.0.1'),
  /** `null` listens nowhere, which is the default with `stdio`: whoever starts a server for one client wants no port taken. */
  port: whole(0, 65_535).nullable().default(DEFAULT_PORT),
  /** One client on stdin and stdout, whose end is the end of the server. */
  stdio: flag(false),
  /** Relative to the working directory. */
  dataDir: z
    .string({ error: 'must be a path' })
    .min(1, { error: 'must be a path' })
    .refine((path) => !path.includes('\0'), { error: 'must be a path' })
    .default('.troupe'),
  /** For sessions that name none. echo needs no key and no installation. */
  engine: z
    .enum(['echo', 'scripted', 'pi'], {
      error: ({ input }) =>
        input === 'openai' || input === 'acp'
          ? 'is planned and not part of this version yet: use echo, scripted or pi'
          : 'must be one of: echo, scripted, pi',
    })
    .default('echo'),
  logLevel: choice(['debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info'),
  /** Lets scripts of the scripted engine end the process: for tests of what happens then. */
  allowCrash: flag(false),

  limits: section({
    sessionsMax: count(100_000),
    connectionsMax: whole(1, 100_000).default(1_000),
    frameBytesMax: whole(1, FRAME_BYTES_MAX).default(10 * MIB),
    mailboxDepthMax: count(1_000),
    pendingMax: count(100),
    /** Messages are small and a person writes them: more than this waiting is a loop. */
    queuedMessagesMax: count(100),
    partialTextBytesMax: bytes(MIB),
    /** About a second of a fast stream: who is further behind catches up from the journal. */
    outgoingBytesMax: bytes(4 * MIB),
    /** Room for several of the largest responses on top of that. */
    outgoingBytesCloseMax: bytes(64 * MIB),
    subscriptionsMax: count(1_000),
  }),

  timeouts: section({
    shortMs: waitMs(30 * SECOND_MS),
    /** Five minutes end real agent runs. */
    longMs: waitMs(30 * MINUTE_MS),
    dependencyMs: waitMs(30 * SECOND_MS),
    /** 0 ends running turns at once. */
    drainMs: whole(0, WAIT_MS_MAX).default(30 * SECOND_MS),
  }),

  idempotency: section({
    entriesMax: count(1_000_000),
    cacheBytesMax: bytes(64 * MIB),
    /** No outcome younger than this is taken by retention or compaction. */
    ttlMs: waitMs(10 * MINUTE_MS),
  }),

  session: section({
    /** How long a session lives, and what activity near its end adds, so often at most. */
    ttl: section({
      baseMs: lifeMs(24 * HOUR_MS),
      extensionMs: lifeMs(6 * HOUR_MS),
      extensionsMax: whole(0, 1_000).default(4),
      /** So long before the end it is announced, and activity extends. */
      thresholdMs: lifeMs(HOUR_MS),
    }),
  }),

  heartbeat: section({
    intervalMs: waitMs(30 * SECOND_MS),
    timeoutMs: waitMs(10 * SECOND_MS),
  }),

  /** Work that was accepted and not started before a crash: run it (true), or end it as INTERRUPTED. */
  recovery: section({ requeue: flag(true) }),

  /** Tries of a command that takes its session, or the process, down whenever it acts. */
  supervision: section({ attemptsMax: count(3) }),

  journal: section({
    kind: choice(['sqlite', 'memory'], 'sqlite'),
    /** A journal that acknowledges what a crash would lose is refused without this. */
    acceptVolatile: flag(false),
    /** Entries of a session before it is kept as a snapshot: what a session that comes back has to fold at most, nearly. */
    snapshotEvery: count(256),
    /** Entries before all that a boot needs is kept: what a boot after a crash has to read at most, nearly. */
    checkpointEvery: count(50_000),
    /** Every read leaves an entry: who asked what, and when. Its answer waits for that. */
    auditReads: flag(false),
    /** What goes without being asked, at each start and from then on; 0: nothing for this reason. */
    retention: section({
      /** Older entries of sessions, and what was said in older ones of the server. */
      maxAgeMs: whole(0, Number.MAX_SAFE_INTEGER).default(0),
      /** The oldest, as long as the journal is larger; its log and what is free in the file do not count. */
      maxBytes: whole(0, Number.MAX_SAFE_INTEGER).default(0),
    }),
  }),

  /** A session that nobody uses leaves memory, and comes back with the next command. */
  passivation: section({ idleMs: waitMs(5 * MINUTE_MS) }),

  /** What is taken away from all that is stored, exported and logged; what runs is never changed. */
  redaction: section({
    /** Names of keys, whatever the case: their values, at any depth. */
    keys: texts.default([]),
    /** Regular expressions: what they match in texts, at any depth. */
    patterns: texts.default([]),
  }),

  backup: section({
    /** From the end of one that succeeded to the next one; 0 makes them by command alone. */
    intervalMs: whole(0, WAIT_MS_MAX).default(0),
    /** Older ones go when a newer one is verified. */
    keep: whole(1, 10_000).default(7),
    /** null is the folder `backups` in the data directory. A disk of its own outlives that one. */
    dir: place.default(null),
  }),

  compaction: section({
    /** From the end of one that succeeded to the next one; 0 compacts by command alone. */
    intervalMs: whole(0, WAIT_MS_MAX).default(0),
  }),

  /** Rate limiting is not part of this version. The key is there so that a file can say so. */
  rateLimit: section({
    enabled: z
      .literal(false, { error: 'rate limiting is not part of this version yet: leave it false' })
      .default(false),
  }),

  pi: section({
    /** Where the pi coding agent's SDK is installed; null looks where Node looks. */
    modulePath: place.default(null),
    /** pi's own folder with models and keys; null is pi's default. */
    agentDir: place.default(null),
  }),
});

/** What two keys have to be to each other: the key to be blamed, and what is wrong with it. */
function contradictions(config: Config): { path: string; problem: string }[] {
  const { limits, journal, port, redaction, stdio } = config;
  const found: { path: string; problem: string }[] = [];
  if (port === null && !stdio) {
    found.push({ path: 'port', problem: 'leaves no way in: set stdio to true, or a port from 0 to 65535' });
  }
  if (limits.outgoingBytesCloseMax <= limits.outgoingBytesMax) {
    found.push({
      path: 'limits.outgoingBytesCloseMax',
      problem: `must be larger than limits.outgoingBytesMax (${limits.outgoingBytesMax})`,
    });
  }
  if (journal.kind === 'memory' && config.backup.intervalMs !== 0) {
    found.push({ path: 'backup.intervalMs', problem: 'has nothing to copy with journal.kind memory: leave it 0' });
  }
  if (journal.kind === 'memory' && !journal.acceptVolatile) {
    found.push({
      path: 'journal.kind',
      problem: 'loses everything with the process: set journal.acceptVolatile to true if that is what you want',
    });
  }
  found.push(...compileRules(redaction).problems);
  return found;
}

/** The whole configuration, checked and complete. */
export type Config = z.output<typeof schema>;
/** Every key is optional. */
export type ConfigInput = z.input<typeof schema>;

/** What holds where nobody says otherwise. */
export const defaultConfig: Config = schema.parse({});

/** A key that is wrong, and what is wrong with it. */
export interface ConfigIssue {
  /** Dotted. */
  readonly path: string;
  readonly problem: string;
}

/** Fills in the defaults and checks everything; one issue for each key that is wrong. */
export function checkConfig(input: unknown): { config: Config } | { issues: ConfigIssue[] } {
  const result = schema.safeParse(withoutNeedlessPort(input));
  const issues = new Map<string, string>();
  if (result.success) for (const { path, problem } of contradictions(result.data)) issues.set(path, problem);
  else {
    for (const issue of result.error.issues) {
      const path = issue.path.join('.');
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys) issues.set(path === '' ? key : `${path}.${key}`, 'is not a known key');
      } else if (!issues.has(path)) issues.set(path, issue.message);
    }
  }
  if (result.success && issues.size === 0) return { config: result.data };
  return { issues: [...issues].map(([path, problem]) => ({ path, problem })) };
}

/** With stdio the server listens only where it was told to: two of them beside each other must not fight for a port. */
function withoutNeedlessPort(input: unknown): unknown {
  const { port, stdio } = (input ?? {}) as ConfigInput;
  return stdio === true && port === undefined ? { ...(input as ConfigInput), port: null } : input;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** A name or address (IPv6 without brackets) that only this machine can mean. */
export function isLoopback(hostname: string): boolean {
  const family = isIP(hostname);
  if (family === 0) return hostname.toLowerCase() === 'localhost';
  return loopback.check(hostname, family === 4 ? 'ipv4' : 'ipv6');
}
