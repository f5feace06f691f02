// A port that nothing listens on.
import { createServer } from 'node:net';

export const LOOPBACK = '127.0.0.1';

/** A port of the loopback interface that is free now; whoever takes it next has it. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, LOOPBACK, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
