/**
 * Where clients are received: takes connections in, reads their frames, and speaks to all of them at once.
 *
 * Connections outlast what is folded from the journal: when that is rebuilt they stay, and so does what they are attached to.
 * A connection in which a defect shows is closed, and no other. State: volatile.
 */
import { Connection } from './connection.ts';
import type { ConnectionOwner } from './connection.ts';
import type { Core } from './core.ts';
import type { Host } from './host.ts';
import type { Limits } from './limits.ts';
import type { Principal } from './message.ts';
import type { Frames, Outlet, Peer } from './ports.ts';
import type { Shared } from './runtime.ts';

/** Before it is greeted, while it is served, or when it comes too late. */
export type Welcome = 'later' | 'now' | 'never';

export interface ReceptionOptions {
  /** What a new connection is told first. */
  readonly greeting: (connection: Connection) => readonly string[];
  readonly welcome: () => Welcome;
  readonly core: () => Core;
}

const CONNECTION_LIMIT_CLOSE = 1013;

export class ConnectionTable implements ConnectionOwner {
  readonly host: Host;
  readonly frames: Frames;
  readonly limits: Limits;
  readonly #shared: Shared;
  readonly #options: ReceptionOptions;
  readonly #connections = new Set<Connection>();
  #connected = 0;

  constructor(shared: Shared, options: ReceptionOptions) {
    this.#shared = shared;
    this.#options = options;
    this.host = shared.host;
    this.frames = shared.frames;
    this.limits = shared.limits;
  }

  get size(): number {
    return this.#connections.size;
  }

  connect(outlet: Outlet, principal: Principal, transport: string): Peer | undefined {
    const { connectionsMax } = this.limits;
    const { counters, subscriptions } = this.#shared;
    if (this.#connections.size >= connectionsMax) {
      counters.connectionsRefused += 1;
      outlet.close(CONNECTION_LIMIT_CLOSE, `Connection limit reached (${connectionsMax} connections)`);
      return undefined;
    }
    this.#connected += 1;
    const connection = new Connection(this, String(this.#connected), outlet, principal, transport);
    this.#connections.add(connection);
    subscriptions.lifecycle.add(connection);
    subscriptions.sessionTopic.add(connection);
    const welcome = this.#options.welcome();
    if (welcome === 'now') connection.open();
    else if (welcome === 'never') connection.dismiss();
    return connection;
  }

  greeting(connection: Connection): readonly string[] {
    return this.#options.greeting(connection);
  }

  receive(connection: Connection, bytes: Uint8Array): void {
    const { intake } = this.#shared;
    const core = this.#options.core();
    const parsed = intake.parse(bytes, connection.principal);
    if ('contract' in parsed) {
      core.receive(parsed, connection);
      return;
    }
    const { commandType, id, refusal } = parsed;
    this.#shared.counters.countRefused(refusal.errorCode);
    const tell = (): void => connection.sendResponse(this.frames.response(commandType, id, refusal, undefined));
    core.router.outcomes.hold(connection, 0, { tell });
  }

  left(connection: Connection): void {
    this.#connections.delete(connection);
    this.#shared.subscriptions.leave(connection);
  }

  /** Greets those who came before there was anything to say. */
  open(): void {
    for (const connection of this.#connections) connection.open();
  }

  tell(text: string): void {
    for (const connection of this.#connections) connection.sendResponse(text);
  }

  dismiss(): void {
    for (const connection of this.#connections) connection.dismiss();
  }
}
