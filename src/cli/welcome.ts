/**
 * What a person at a terminal reads when the server is up. Pure. State: none.
 */
import { packageVersion } from '../version.ts';

export interface Welcome {
  readonly host: string;
  readonly port: number;
  readonly engine: string;
  /** Where the journal is, for people. */
  readonly data: string;
}

export function welcome({ host, port, engine, data }: Welcome): string {
  const url = `ws://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return `
  troupe ${packageVersion} is ready at ${url}

    engine  ${engine}
    data    ${data}
    try     npx wscat -c ${url}
            {"type":"create_session","sessionId":"s1","id":"1"}
            {"type":"prompt","sessionId":"s1","message":"Hello there","id":"2"}
    stop    Ctrl-C

`;
}
