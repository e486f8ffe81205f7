/**
 * Who may talk to this server from a browser: the checks of the Host and Origin headers.
 *
 * A page of any site can open a WebSocket to this machine, and a site can rebind its own name to 127.0.0.1. The first is
 * refused by Origin, the second by Host: a browser tells the truth in both. Programs send no Origin and may come in.
 * Pure. State: none.
 */

/** Says whether a host name or address (IPv6 without brackets) is one under which this server is meant to be reached. */
export type IsOwnHost = (hostname: string) => boolean;

interface Headers {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
}

/** A name or an address with an optional port, and nothing else: no user, no path. */
const AUTHORITY = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?$/i;

const QUOTED_CHARS_MAX = 100;

/** Why a request is refused, as a text for people; `undefined` when it may come in. */
export function accessProblem({ host, origin }: Headers, isOwnHost: IsOwnHost): string | undefined {
  const ownName = hostnameOf(host);
  if (ownName === undefined || !isOwnHost(ownName)) {
    return `Host ${quoted(host)} is not a name of this server: connect to it as 127.0.0.1 or localhost`;
  }
  if (origin === undefined) return undefined;
  if (!isOwnOrigin(origin, isOwnHost)) {
    return `Origin ${quoted(origin)} may not use this server: only pages of this machine may`;
  }
  return undefined;
}

function hostnameOf(authority: string | undefined): string | undefined {
  const match = AUTHORITY.exec(authority ?? '');
  const name = match?.[1] ?? match?.[2];
  // `localhost.` is the same name, written as an absolute one.
  return name?.toLowerCase().replace(/\.$/, '');
}

function isOwnOrigin(origin: string, isOwnHost: IsOwnHost): boolean {
  const name = hostnameOf(/^https?:\/\/(.+)$/i.exec(origin)?.[1]);
  return name !== undefined && isOwnHost(name);
}

/** What a header said, short enough for one line. */
function quoted(header: string | undefined): string {
  if (header === undefined) return '(none)';
  return JSON.stringify(header.length > QUOTED_CHARS_MAX ? `${header.slice(0, QUOTED_CHARS_MAX)}...` : header);
}
