/**
 * The yardstick: `ws` as it comes, one JSON text in, the same one out, parsed and written again, one write per frame.
 */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    socket.send(JSON.stringify(JSON.parse((data as Buffer).toString('utf8'))));
  });
});
server.on('listening', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit());
