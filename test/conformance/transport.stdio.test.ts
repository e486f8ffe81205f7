import { transportConformance } from '../../src/testing/conformance/transport.ts';
import { createStdioPair } from '../transports/stdio-pair.ts';

transportConformance({
  name: 'stdio',
  pings: false,
  start(reception, options) {
    const pair = createStdioPair(reception, options);
    const { observed, transport } = pair;
    const stop = (): Promise<void> => transport.stop();
    const connect = (): Promise<typeof pair> => {
      transport.connect();
      transport.read();
      return Promise.resolve(pair);
    };
    return Promise.resolve({ observed, connect, stop, clear: stop });
  },
});
