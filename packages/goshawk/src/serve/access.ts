// Who is answered. With a token, whoever has it. Without, only programs of this machine: a web page that a browser shows is not to reach
// the server by way of a name that it had resolved to this machine.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.js';

/** Health is told to everybody: what asks for it has no secrets. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz']);

export interface AccessRules {
  readonly token: string | undefined;
}

/** @throws Refusal */
export function requireAccess(request: IncomingMessage, path: string, { token }: AccessRules): void {
  if (OPEN_PATHS.has(path)) return;
  if (token === undefined) requireThisMachine(request);
  else requireToken(request, token);
}

function requireToken(request: IncomingMessage, token: string): void {
  const given = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
  if (given !== undefined && isSame(given, token)) return;
  throw new Refusal({
    status: 401,
    code: 'token-missing',
    message: `authorization: ${given === undefined ? 'is missing' : 'is another token'} (expected Bearer and the token that the server was started with): send it`,
    headers: { 'www-authenticate': 'Bearer' },
  });
}

/** In a time that does not tell how much of it is right. */
function isSame(given: string, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

function requireThisMachine({ headers }: IncomingMessage): void {
  const { host = '', origin } = headers;
  if (!isThisMachine(hostName(host)))
    throw refused(`host: is '${host.slice(0, 80)}' (expected 127.0.0.1 or localhost): ask the server by that name`);
  if (origin !== undefined && origin !== `http://${host}`)
    throw refused(`origin: is '${origin.slice(0, 80)}': pages of other servers are not answered without a token`);
}

function hostName(host: string): string {
  return host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
}

/** Whether an address or name is this machine's own loopback. */
export function isThisMachine(name: string): boolean {
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name);
}

function refused(message: string): Refusal {
  return new Refusal({ status: 403, code: 'host-refused', message });
}
